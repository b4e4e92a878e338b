/*
 * What the programs of PRR and SMAP have alike: how a plain packet is read, where it goes, and how it is sent.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "layout.h"

#define INLINE static __always_inline
#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define barrier() asm volatile("" ::: "memory")

#define ICMP_ECHO 8
#define ICMP_ECHOREPLY 0

#define AF_INET 2
#define AF_INET6 10
#define PATH_LEAST 1240		/* what every softwire carries: 1280 (RFC 8200 section 5) without a header */
#define FRAGMENT_BITS bpf_htons(0x3fff)
#define DONT_FRAGMENT bpf_htons(0x4000)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct next_hop);
} next_hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct route_key);
	__type(value, __u32);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct route6_key);
	__type(value, __u32);
} routes6 SEC(".maps");

/*
 * The Ethernet devices of the machine and their addresses, by interface index: frames go to no others, and XDP sees those for others too. Above the address stands TAKES_NO_FRAMES
 * where XDP cannot hand it any.
 */
#define TAKES_NO_FRAMES (1ULL << 48)
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* ---- What differs between the hooks */

#ifdef XDP

typedef struct xdp_md context;

#define GO_ON XDP_PASS
#define PROGRAM SEC("xdp")

INLINE __u32 frame_length(context *ctx) { return bpf_xdp_get_buff_len(ctx); }
INLINE __u32 segments_of(context *ctx) { return 1; }
INLINE __u32 segment_payload(context *ctx) { return 0; }
INLINE int pull(context *ctx, __u32 length) { return 0; }

INLINE int is_for_us(context *ctx)
{
	__u32 device = ctx->ingress_ifindex;
	__u64 *own = bpf_map_lookup_elem(&devices, &device);
	__u8 *to = (void *)(long)ctx->data, *mine = (void *)own;

	if (!own || (void *)(to + ETH_ALEN) > (void *)(long)ctx->data_end)
		return 0;
	return *(__u32 *)to == *(__u32 *)mine && *(__u16 *)(to + 4) == *(__u16 *)(mine + 4);
}

INLINE int trim(context *ctx, __u32 length) { return bpf_xdp_adjust_tail(ctx, (int)(length - frame_length(ctx))); }
INLINE int make_room(context *ctx) { return bpf_xdp_adjust_head(ctx, -(int)sizeof(struct ipv6hdr)); }
INLINE int take_room(context *ctx) { return bpf_xdp_adjust_head(ctx, sizeof(struct ipv6hdr)); }

#else

typedef struct __sk_buff context;

#define GO_ON (-1)	/* TCX_NEXT */
#define PROGRAM SEC("tc")

/* Kernel 6.3 and newer; older headers do not have it. */
#ifndef BPF_F_ADJ_ROOM_DECAP_L3_IPV4
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#endif

INLINE __u32 frame_length(context *ctx) { return ctx->len; }
INLINE __u32 segments_of(context *ctx) { return ctx->gso_segs ?: 1; }
INLINE __u32 segment_payload(context *ctx) { return ctx->gso_size; }
INLINE int is_for_us(context *ctx) { return ctx->pkt_type == 0 /* PACKET_HOST */ && !ctx->vlan_present; }

INLINE int pull(context *ctx, __u32 length)
{
	return (void *)(long)ctx->data + length <= (void *)(long)ctx->data_end ? 0 : bpf_skb_pull_data(ctx, length < ctx->len ? length : ctx->len);
}

INLINE int trim(context *ctx, __u32 length) { return bpf_skb_change_tail(ctx, length, 0); }

INLINE int make_room(context *ctx)
{
	return bpf_skb_adjust_room(ctx, sizeof(struct ipv6hdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_FIXED_GSO);
}

INLINE int take_room(context *ctx)
{
	return bpf_skb_adjust_room(ctx, -(int)sizeof(struct ipv6hdr), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO);
}

#endif

/* ---- A packet as the programs see it */

/* <linux/icmp.h> needs the C library's own headers. */
struct icmp_echo {
	__u8 type, code;
	__u16 checksum, identifier, sequence;
};

struct packet {
	__u32 from, to;		/* network order */
	__u16 length;		/* IPv4 total length */
	__u16 source, destination;	/* ports, or the identifier of an echo, host order */
	__u16 segment;		/* octets of the largest IPv4 packet that it is on the wire */
	__u8 traffic_class, ttl, protocol;
	__u8 flags;		/* of TCP, FIN and RST alone */
	__u8 may_fragment;
};

#define FLAG_FIN 1
#define FLAG_RST 4

struct way {
	__u32 device;
	__u16 mtu;
	__u8 to[6], from[6];
	__u8 known;		/* whether the Ethernet addresses are */
};

/* The protocol of a frame that is to us; 0 of another. */
INLINE __be16 protocol_to_us(context *ctx)
{
	struct ethhdr *ethernet;

	if (!is_for_us(ctx))
		return 0;
	ethernet = (void *)(long)ctx->data;
	return (void *)(ethernet + 1) > (void *)(long)ctx->data_end ? 0 : ethernet->h_proto;
}

INLINE struct counters *own_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

INLINE int is_unicast(__u32 address)
{
	__u8 first = bpf_ntohl(address) >> 24;

	return first != 0 && first < 224 && first != 127;
}

/*
 * Reads an inner header that is plain: no options, no fragment, its checksum right, TTL to spare, and TCP, UDP or ICMP echo behind it.
 * Returns UP_REASONS where it is, or why it goes up.
 */
INLINE enum up read_packet(context *ctx, __u32 at, __u32 room, struct packet *packet)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(long)ctx->data + at;
	__u16 *half = (void *)ip;
	__u32 sum = 0, header = sizeof(struct udphdr);

	if ((void *)(ip + 1) > end || *(__u8 *)ip != 0x45)
		return UP_HEADER;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += half[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	packet->length = bpf_ntohs(ip->tot_len);
	if (sum != 0xffff || packet->length > room || packet->length < sizeof(*ip) + sizeof(struct udphdr))
		return UP_HEADER;
	if (ip->frag_off & FRAGMENT_BITS)
		return UP_FRAGMENT;
	packet->from = ip->saddr;
	packet->to = ip->daddr;
	packet->traffic_class = ip->tos;
	packet->ttl = ip->ttl;
	packet->protocol = ip->protocol;
	packet->may_fragment = !(ip->frag_off & DONT_FRAGMENT);
	if (!is_unicast(packet->from))
		return UP_HEADER;

	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end || packet->length < sizeof(*ip) + sizeof(*tcp))
			return UP_HEADER;
		header = tcp->doff * 4;
		if (header < sizeof(*tcp) || packet->length < sizeof(*ip) + header)
			return UP_HEADER;
		if (tcp->syn)
			return UP_SYN;
		packet->flags = tcp->fin | tcp->rst << 2;
		packet->source = bpf_ntohs(tcp->source);
		packet->destination = bpf_ntohs(tcp->dest);
	} else if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > packet->length - sizeof(*ip))
			return UP_HEADER;
		packet->source = bpf_ntohs(udp->source);
		packet->destination = bpf_ntohs(udp->dest);
	} else if (ip->protocol == IPPROTO_ICMP) {
		struct icmp_echo *icmp = (void *)(ip + 1);

		if ((void *)(icmp + 1) > end)
			return UP_HEADER;
		if (icmp->type != ICMP_ECHO && icmp->type != ICMP_ECHOREPLY)
			return UP_ICMP;
		packet->source = packet->destination = bpf_ntohs(icmp->identifier);
	} else {
		return UP_PROTOCOL;
	}

	if (packet->ttl <= 1)
		return UP_TTL;
	packet->segment = packet->length;
	if (segment_payload(ctx))
		packet->segment = sizeof(*ip) + header + segment_payload(ctx);
	return UP_REASONS;
}

/*
 * Whether a packet leaves its softwire with the traffic class that it went in with: these marks leave the inner one as it is (RFC 6040 section 4.2, figure 4), and
 * so does a DSCP that is the same, where the outer one counts (RFC 2983 section 3.1).
 */
INLINE int keeps_class(__u32 outer, __u32 inner, __u32 flags)
{
	__u32 mark = outer & 3, differs = outer ^ inner;

	return (!(differs & 3) || mark == 0 || mark == 2) && !(flags & TAKES_SERVICES && differs & 0xfc);
}

/* ---- Where it goes */

INLINE int take_next_hop(__u32 index, struct way *way)
{
	struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &index);
	__u32 sequence;

	if (!hop)
		return 0;
	sequence = READ_ONCE(hop->sequence);
	barrier();
	way->device = READ_ONCE(hop->device);
	way->mtu = READ_ONCE(hop->mtu);
	__builtin_memcpy(way->to, hop->to, 2 * ETH_ALEN);
	barrier();
	way->known = 1;
	return way->device && !(sequence & 1) && sequence == READ_ONCE(hop->sequence);
}

/* What the kernel's own tables say now of a packet that comes from `question->ifindex`. */
INLINE int ask_kernel(context *ctx, struct bpf_fib_lookup *question, struct way *way)
{
	long answer = bpf_fib_lookup(ctx, question, sizeof(*question), 0);
	__u64 *device;

	way->device = question->ifindex;
	device = bpf_map_lookup_elem(&devices, &way->device);
	if (!device || *device & TAKES_NO_FRAMES)
		return 0;	/* no Ethernet there, or none for us */
	way->mtu = 0xffff;	/* it has looked */
	way->known = answer == BPF_FIB_LKUP_RET_SUCCESS;
	if (way->known) {
		__builtin_memcpy(way->to, question->dmac, ETH_ALEN);
		__builtin_memcpy(way->from, question->smac, ETH_ALEN);
	}
#ifdef XDP
	return way->known;
#else
	return way->known || answer == BPF_FIB_LKUP_RET_NO_NEIGH;
#endif
}

/* Into a softwire: by a next hop that is known, or as the kernel says. */
INLINE int find_way_of_softwire(context *ctx, __u32 next_hop, const __u64 *from, const __u64 *to, const struct packet *packet, struct way *way)
{
	struct bpf_fib_lookup question = { .family = AF_INET6, .l4_protocol = IPPROTO_IPIP, .ifindex = ctx->ingress_ifindex };

	if (next_hop == BY_ROUTE) {
		struct route6_key key = { .length = 128 };
		__u32 *route;

		__builtin_memcpy(key.address, to, sizeof(key.address));
		route = bpf_map_lookup_elem(&routes6, &key);
		next_hop = route ? *route : ASK_KERNEL;
	}
	if (next_hop == PASS_UP)
		return 0;
	if (next_hop == ASK_KERNEL || !take_next_hop(next_hop, way)) {
		question.tot_len = packet->segment + sizeof(struct ipv6hdr);
		__builtin_memcpy(question.ipv6_src, from, sizeof(question.ipv6_src));
		__builtin_memcpy(question.ipv6_dst, to, sizeof(question.ipv6_dst));
		if (!ask_kernel(ctx, &question, way))
			return 0;
	}
	return packet->segment + sizeof(struct ipv6hdr) <= way->mtu;
}

/* As plain IPv4, by `routes` where they say all; else as the kernel says of one that comes from a device. */
INLINE int find_way_of_ipv4(context *ctx, int routes_known, __u32 device, const struct packet *packet, struct way *way)
{
	struct route_key key = { .length = 32, .address = packet->to };
	struct bpf_fib_lookup question = { .family = AF_INET, .ifindex = device };
	__u32 *next_hop = routes_known ? bpf_map_lookup_elem(&routes, &key) : 0;

	if (next_hop && *next_hop == PASS_UP)
		return 0;
	if (!next_hop || *next_hop == ASK_KERNEL || !take_next_hop(*next_hop, way)) {
		question.tot_len = packet->segment;
		question.tos = packet->traffic_class & 0x1c;
		question.ipv4_src = packet->from;
		question.ipv4_dst = packet->to;
		if (!ask_kernel(ctx, &question, way))
			return 0;
	}
	return packet->segment <= way->mtu;
}

/* ---- How it looks then */

/* High half of a 64-bit product. */
INLINE __u64 multiply_high(__u64 a, __u64 b)
{
	__u64 a0 = (__u32)a, a1 = a >> 32, b0 = (__u32)b, b1 = b >> 32;
	__u64 middle = a1 * b0 + (a0 * b0 >> 32);
	__u64 other = a0 * b1 + (__u32)middle;

	return a1 * b1 + (middle >> 32) + (other >> 32);
}

/* SoftwireEnd.FlowLabel: keyed, of the two hosts. */
INLINE __u32 flow_label(__u64 key, __u32 from, __u32 to)
{
	__u64 hosts = (__u64)bpf_ntohl(from) << 32 | bpf_ntohl(to);
	__u64 a = hosts ^ key, b = 0x9E3779B97F4A7C15ULL + key, mixed;

	if (!key)
		return 0;
	mixed = (multiply_high(a, b) ^ a * b ^ hosts) * (key | 1);
	mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93ULL;
	return (__u32)(mixed >> 44) | 1;
}

/* All of the outer header but its addresses. */
INLINE void begin_outer(struct ipv6hdr *outer, const struct packet *packet, __u32 label, __u8 hop_limit)
{
	*(__be32 *)outer = bpf_htonl(6 << 28 | (__u32)packet->traffic_class << 20 | label);
	outer->payload_len = bpf_htons(packet->length);
	outer->nexthdr = IPPROTO_IPIP;
	outer->hop_limit = hop_limit;
}

/* Writes the outer header where there is room for it. tc keeps the checksum that a NIC may have taken over the whole packet. */
INLINE int write_outer(context *ctx, const struct ipv6hdr *outer)
{
#ifdef XDP
	struct ipv6hdr *there = (void *)(long)ctx->data + ETH_HLEN;

	if ((void *)(there + 1) > (void *)(long)ctx->data_end)
		return -1;
	*there = *outer;
	return 0;
#else
	return bpf_skb_store_bytes(ctx, ETH_HLEN, outer, sizeof(*outer), BPF_F_RECOMPUTE_CSUM);
#endif
}

/* A checksum after one of its words changed (RFC 1624, equation 3). */
INLINE __u16 mended(__u16 checksum, __u16 before, __u16 now)
{
	__u32 sum = (__u16)~checksum + (__u16)~before + now;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Takes one from the inner TTL. */
INLINE void take_ttl(struct iphdr *ip)
{
	__u16 *word = (__u16 *)&ip->ttl, before = *word;

	ip->ttl--;
	ip->check = mended(ip->check, before, *word);
}

/* Off, in a frame to the next hop. */
INLINE int dispatch(context *ctx, const struct way *way, __be16 protocol)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return GO_ON;
	__builtin_memcpy(ethernet->h_dest, way->to, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, way->from, ETH_ALEN);
	ethernet->h_proto = protocol;
#ifndef XDP
	if (!way->known)
		return bpf_redirect_neigh(way->device, 0, 0, 0);
#endif
	return bpf_redirect(way->device, 0);
}

/* Cuts off what links put behind a short packet. */
INLINE int cut(context *ctx, __u32 length)
{
	return frame_length(ctx) > length ? trim(ctx, length) : 0;
}

#define UP(direction, reason) do { mine->direction[reason]++; return GO_ON; } while (0)

