/*
 * The PRR's fast path: the plain packet of a known binding, either way and between subscribers, from one device to the next without leaving the
 * driver's context. Everything else goes on as it came, and the kernel's route takes it up to tier 1, src/APlusP.Core/Forwarding, whose
 * answers these programs give octet for octet.
 *
 * One source for two hooks: tc (tcx ingress), which carries segmentation offload's super-packets whole, and, with -DXDP, XDP.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);		/* the daemon says how many */
	__type(key, __u32);
	__type(value, struct address);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct range);
} ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct softwire);
} softwires SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct end);
} ends SEC(".maps");

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
	__type(key, struct route_key);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct end);
	__type(value, struct path);
} paths SEC(".maps");

/* The Ethernet devices of the machine and their addresses, by interface index: frames go to no others, and XDP sees those for others too. */
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
	__u8 traffic_class, ttl;
};

struct way {
	__u32 device;
	__u16 mtu;
	__u8 to[6], from[6];
	__u8 known;		/* whether the Ethernet addresses are */
};

struct subscriber {
	__u64 smap[2], prr[2];
	__u16 payload_mtu, next_hop;
	struct softwire *counted;	/* null for one by a rule */
};

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
	if (!is_unicast(packet->from))
		return UP_HEADER;

	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);

		if ((void *)(tcp + 1) > end || packet->length < sizeof(*ip) + sizeof(*tcp))
			return UP_HEADER;
		header = tcp->doff * 4;
		if (tcp->syn)
			return UP_SYN;
		packet->source = bpf_ntohs(tcp->source);
		packet->destination = bpf_ntohs(tcp->dest);
	} else if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end)
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

/* ---- Whose port it is */

/* The slot of a port of an address, or -1. */
INLINE __s64 locate(const struct address *address, __u16 port)
{
	__u32 low = address->ranges, left = address->range_count;

	if (left) {
		struct range *range;
		__u32 at;

		/* 65536 ranges at most: sixteen halvings leave one. */
		for (int i = 0; i < 17 && left > 1; i++) {
			__u32 half = left >> 1;

			at = low + half;
			range = bpf_map_lookup_elem(&ranges, &at);
			if (!range)
				return -1;
			if (range->first <= port)
				low += half;
			left -= half;
		}
		at = low;
		range = bpf_map_lookup_elem(&ranges, &at);
		if (range && port >= range->first && port <= range->last)
			return range->slot;
	}

	if (!(address->flags & HAS_PSID))
		return -1;
	if (address->length == 0)
		return address->slots;
	if (address->offset && port >> (16 - address->offset & 31) == 0)
		return -1;
	return address->slots + (port >> (16 - address->offset - address->length & 31) & (1 << (address->length & 31)) - 1);
}

/* Copies what stands in a slot, if it is this address's now and nobody is changing it. */
INLINE enum up read_slot(__u32 slot, __u32 address, struct subscriber *subscriber)
{
	struct softwire *there = bpf_map_lookup_elem(&softwires, &slot);
	struct end *end;
	__u32 sequence, prr, owner;

	if (!there)
		return UP_NO_BINDING;
	sequence = READ_ONCE(there->sequence);
	barrier();
	owner = READ_ONCE(there->address);
	subscriber->smap[0] = READ_ONCE(there->smap[0]);
	subscriber->smap[1] = READ_ONCE(there->smap[1]);
	subscriber->payload_mtu = READ_ONCE(there->payload_mtu);
	subscriber->next_hop = READ_ONCE(there->next_hop);
	prr = READ_ONCE(there->prr);
	barrier();
	if (sequence & 1 || sequence != READ_ONCE(there->sequence))
		return UP_CHANGING;
	end = bpf_map_lookup_elem(&ends, &prr);
	if (owner != address || !end)
		return UP_NO_BINDING;
	subscriber->prr[0] = end->prr[0];
	subscriber->prr[1] = end->prr[1];
	subscriber->counted = there;
	return UP_REASONS;
}

/* The CE of an (address, port) by a mapping rule, RFC 7597 sections 5 and 6: MappingRuleArithmetic.TryFindCe. */
INLINE enum up apply_rule(const struct rule *rule, __u32 address, __u16 port, struct subscriber *subscriber)
{
	__u32 host = bpf_ntohl(address), own = host & rule->subscriber_mask, prr = rule->prr, psid;
	__u64 high = rule->prefix[0], low = rule->prefix[1], ea, identifier;
	struct end *end;

	if (rule->up || (host & rule->rule_mask) != rule->address || port >> (rule->block_shift & 31) < rule->first_block)
		return UP_NO_BINDING;
	psid = port >> (rule->psid_shift & 31) & (1 << (rule->psid_length & 31)) - 1;
	if (rule->only_psid >= 0 && rule->only_psid != psid)
		return UP_NO_BINDING;
	if (rule->has_ea) {
		__u32 shift = rule->ea_shift;

		ea = (__u64)((own & ~rule->rule_mask) >> (rule->suffix_shift & 31)) << (rule->psid_length & 31) | psid;
		if (shift >= 64) {
			high |= ea << (shift - 64 & 63);
		} else {
			low |= ea << (shift & 63);
			if (shift)
				high |= ea >> (64 - shift & 63);
		}
	}

	identifier = ((__u64)own << (rule->address_shift & 63) | (__u64)psid << (rule->psid_at & 63)) & rule->identifier_mask;
	end = bpf_map_lookup_elem(&ends, &prr);
	if (!end)
		return UP_NO_BINDING;
	subscriber->smap[0] = bpf_cpu_to_be64(high);
	subscriber->smap[1] = bpf_cpu_to_be64(low | identifier);
	subscriber->prr[0] = end->prr[0];
	subscriber->prr[1] = end->prr[1];
	subscriber->payload_mtu = rule->payload_mtu;
	subscriber->next_hop = ASK_KERNEL;
	subscriber->counted = 0;
	return UP_REASONS;
}

/* Whether an address is shared at all, by a binding or by a rule. */
struct owner {
	struct address *address;
	struct rule *rule;
};

INLINE int is_shared(const struct config *config, __u32 address, struct owner *owner)
{
	struct route_key key = { .length = 32, .address = address };

	owner->address = bpf_map_lookup_elem(&addresses, &address);
	owner->rule = config->flags & HAS_RULES ? bpf_map_lookup_elem(&rules, &key) : 0;
	if (owner->address)
		return 1;
	barrier();	/* or the compiler ors pointers, which the verifier does not let it */
	return owner->rule != 0;
}

/* The subscriber of a port of a shared address: bindings first, then rules. */
INLINE enum up find_subscriber(const struct owner *owner, __u32 address, __u16 port, struct subscriber *subscriber)
{
	enum up found = UP_NO_BINDING;
	__s64 slot = owner->address ? locate(owner->address, port) : -1;

	if (slot >= 0)
		found = read_slot(slot, address, subscriber);
	if (found == UP_NO_BINDING && owner->rule)
		found = apply_rule(owner->rule, address, port, subscriber);
	return found;
}

/* Whether a packet goes into the softwire whole; notes that a large one does. */
INLINE int fits(struct subscriber *subscriber, const struct packet *packet)
{
	if (packet->segment <= PATH_LEAST)
		return 1;
	if (!subscriber->counted) {
		struct end ce = { .prr = { subscriber->smap[0], subscriber->smap[1] } };
		struct path *path = bpf_map_lookup_elem(&paths, &ce);

		if (packet->segment <= subscriber->payload_mtu)
			return 1;
		if (!path || packet->segment > path->payload_mtu)
			return 0;
		if (!path->large)
			path->large = 1;
		return 1;
	}
	if (packet->segment > subscriber->payload_mtu)
		return 0;
	if (!subscriber->counted->large)
		subscriber->counted->large = 1;
	return 1;
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

/* What the kernel's own tables say now. */
INLINE int ask_kernel(context *ctx, struct bpf_fib_lookup *question, struct way *way)
{
	long answer;

	question->ifindex = ctx->ingress_ifindex;
	answer = bpf_fib_lookup(ctx, question, sizeof(*question), 0);
	way->device = question->ifindex;
	if (!bpf_map_lookup_elem(&devices, &way->device))
		return 0;	/* no Ethernet there */
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

INLINE int find_way_to_smap(context *ctx, const struct subscriber *subscriber, const struct packet *packet, struct way *way)
{
	struct bpf_fib_lookup question = { .family = AF_INET6, .l4_protocol = IPPROTO_IPIP };

	if (subscriber->next_hop == PASS_UP)
		return 0;
	if (subscriber->next_hop == ASK_KERNEL || !take_next_hop(subscriber->next_hop, way)) {
		question.tot_len = packet->segment + sizeof(struct ipv6hdr);
		__builtin_memcpy(question.ipv6_src, subscriber->prr, sizeof(subscriber->prr));
		__builtin_memcpy(question.ipv6_dst, subscriber->smap, sizeof(subscriber->smap));
		if (!ask_kernel(ctx, &question, way))
			return 0;
	}
	return packet->segment + sizeof(struct ipv6hdr) <= way->mtu;
}

INLINE int find_way_to_internet(context *ctx, const struct config *config, const struct packet *packet, struct way *way)
{
	struct route_key key = { .length = 32, .address = packet->to };
	struct bpf_fib_lookup question = { .family = AF_INET };
	__u32 *next_hop = config->flags & ROUTES_KNOWN ? bpf_map_lookup_elem(&routes, &key) : 0;

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
INLINE __u32 flow_label(__u64 key, const struct packet *packet)
{
	__u64 hosts = (__u64)bpf_ntohl(packet->from) << 32 | bpf_ntohl(packet->to);
	__u64 a = hosts ^ key, b = 0x9E3779B97F4A7C15ULL + key, mixed;

	if (!key)
		return 0;
	mixed = (multiply_high(a, b) ^ a * b ^ hosts) * (key | 1);
	mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93ULL;
	return (__u32)(mixed >> 44) | 1;
}

INLINE void fill_outer(struct ipv6hdr *outer, const struct config *config, const struct subscriber *to, const struct packet *packet)
{
	*(__be32 *)outer = bpf_htonl(6 << 28 | (__u32)packet->traffic_class << 20 | flow_label(config->secret, packet));
	outer->payload_len = bpf_htons(packet->length);
	outer->nexthdr = IPPROTO_IPIP;
	outer->hop_limit = config->hop_limit;
	__builtin_memcpy(&outer->saddr, to->prr, sizeof(outer->saddr));
	__builtin_memcpy(&outer->daddr, to->smap, sizeof(outer->daddr));
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

/* Takes one from the inner TTL, and mends the header's checksum (RFC 1624, equation 3). */
INLINE void take_ttl(struct iphdr *ip)
{
	__u16 *word = (__u16 *)&ip->ttl, before = *word;
	__u32 sum;

	ip->ttl--;
	sum = (__u16)~ip->check + (__u16)~before + *word;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
}

/* The last steps, when nothing can make the packet go up any more: Ethernet header, TTL, and off. */
INLINE int send(context *ctx, const struct way *way, __be16 protocol, __u32 inner_at)
{
	struct ethhdr *ethernet;
	struct iphdr *ip;

	ethernet = (void *)(long)ctx->data;
	ip = (void *)ethernet + inner_at;
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return GO_ON;
	take_ttl(ip);
	__builtin_memcpy(ethernet->h_dest, way->to, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, way->from, ETH_ALEN);
	ethernet->h_proto = protocol;
#ifndef XDP
	if (!way->known)
		return bpf_redirect_neigh(way->device, 0, 0, 0);
#endif
	return bpf_redirect(way->device, 0);
}

/* Counts for a subscriber, where it has a place of its own. */
INLINE void count_in(struct softwire *subscriber, __u32 packets, __u32 octets)
{
	if (!subscriber)
		return;
	__sync_fetch_and_add(&subscriber->in_packets, packets);
	__sync_fetch_and_add(&subscriber->in_octets, octets);
}

INLINE void count_out(struct softwire *subscriber, __u32 packets, __u32 octets)
{
	if (!subscriber)
		return;
	__sync_fetch_and_add(&subscriber->out_packets, packets);
	__sync_fetch_and_add(&subscriber->out_octets, octets);
}

/* Cuts off what links put behind a short packet. */
INLINE int cut(context *ctx, __u32 length)
{
	return frame_length(ctx) > length ? trim(ctx, length) : 0;
}

#define UP(direction, reason) do { mine->direction[reason]++; return GO_ON; } while (0)

INLINE int from_internet(context *ctx)
{
	struct counters *mine = own_counters();
	struct packet packet = {};
	struct subscriber to = {};
	struct way way = {};
	struct ipv6hdr outer = {};
	struct config *settings;
	struct owner owner;
	struct iphdr *ip;
	__u32 zero = 0, count = segments_of(ctx);
	enum up up;

	if (pull(ctx, ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr)) && frame_length(ctx) < ETH_HLEN + sizeof(struct iphdr))
		return GO_ON;
	ip = (void *)(long)ctx->data + ETH_HLEN;
	settings = bpf_map_lookup_elem(&config, &zero);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || !settings || !mine)
		return GO_ON;
	if (!is_shared(settings, ip->daddr, &owner))
		return GO_ON;
	up = read_packet(ctx, ETH_HLEN, frame_length(ctx) - ETH_HLEN, &packet);
	if (up != UP_REASONS)
		UP(up_in, up);
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return GO_ON;
	if (ip->protocol == IPPROTO_ICMP && !(settings->flags & ICMP_FROM_INTERNET))
		UP(up_in, UP_ICMP);
	up = find_subscriber(&owner, packet.to, packet.destination, &to);
	if (up != UP_REASONS)
		UP(up_in, up);
	if (!fits(&to, &packet))
		UP(up_in, UP_TOO_BIG);
	if (!find_way_to_smap(ctx, &to, &packet, &way))
		UP(up_in, UP_NO_ROUTE);

	fill_outer(&outer, settings, &to, &packet);
	if (cut(ctx, ETH_HLEN + packet.length) || make_room(ctx))
		UP(up_in, UP_ROOM);
	mine->in_packets += count;
	mine->in_octets += packet.length;
	count_in(to.counted, count, packet.length);
	write_outer(ctx, &outer);
	return send(ctx, &way, bpf_htons(ETH_P_IPV6), ETH_HLEN + sizeof(outer));
}

INLINE int from_smap(context *ctx)
{
	const __u32 inner_at = ETH_HLEN + sizeof(struct ipv6hdr);
	struct counters *mine = own_counters();
	struct packet packet = {};
	struct subscriber sender = {}, receiver = {};
	struct way way = {};
	struct config *settings;
	struct owner owner;
	struct ipv6hdr *outer, next = {};
	__u32 zero = 0, count = segments_of(ctx), traffic_class, payload;
	__u64 from[2], to[2];
	struct iphdr *ip;
	enum up up;

	if (pull(ctx, inner_at + sizeof(struct iphdr) + sizeof(struct tcphdr)) && frame_length(ctx) < inner_at + sizeof(struct iphdr))
		return GO_ON;
	outer = (void *)(long)ctx->data + ETH_HLEN;
	ip = (void *)(outer + 1);
	settings = bpf_map_lookup_elem(&config, &zero);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || !settings || !mine)
		return GO_ON;
	if (outer->version != 6 || outer->nexthdr != IPPROTO_IPIP || !is_shared(settings, ip->saddr, &owner))
		return GO_ON;
	traffic_class = bpf_ntohl(*(__be32 *)outer) >> 20 & 0xff;
	payload = bpf_ntohs(outer->payload_len);
	__builtin_memcpy(from, &outer->saddr, sizeof(from));
	__builtin_memcpy(to, &outer->daddr, sizeof(to));
	if (payload + inner_at > frame_length(ctx))
		UP(up_out, UP_HEADER);
	up = read_packet(ctx, inner_at, payload, &packet);
	if (up != UP_REASONS)
		UP(up_out, up);
	up = find_subscriber(&owner, packet.from, packet.source, &sender);
	if (up != UP_REASONS)
		UP(up_out, up);
	if (from[0] != sender.smap[0] || from[1] != sender.smap[1] || to[0] != sender.prr[0] || to[1] != sender.prr[1])
		UP(up_out, UP_SOURCE);

	/* RFC 6040 section 4.2, figure 4: these leave the inner mark as it is. */
	if ((traffic_class & 3) != (packet.traffic_class & 3) && (traffic_class & 3) != 0 && (traffic_class & 3) != 2)
		UP(up_out, UP_CONGESTION);
	if (!is_unicast(packet.to))
		UP(up_out, UP_DESTINATION);

	if (is_shared(settings, packet.to, &owner)) {
		if (!(settings->flags & HAIRPINNING))
			UP(up_out, UP_HAIRPIN);
		up = find_subscriber(&owner, packet.to, packet.destination, &receiver);
		if (up != UP_REASONS)
			UP(up_out, up);
		if (!fits(&receiver, &packet))
			UP(up_out, UP_TOO_BIG);
		if (!find_way_to_smap(ctx, &receiver, &packet, &way))
			UP(up_out, UP_NO_ROUTE);
		fill_outer(&next, settings, &receiver, &packet);
		if (cut(ctx, inner_at + packet.length) || write_outer(ctx, &next))
			UP(up_out, UP_ROOM);
		mine->hairpin_packets += count;
		mine->hairpin_octets += packet.length;
		count_in(receiver.counted, count, packet.length);
	} else {
		if (!find_way_to_internet(ctx, settings, &packet, &way))
			UP(up_out, UP_NO_ROUTE);
		if (cut(ctx, inner_at + packet.length) || take_room(ctx))
			UP(up_out, UP_ROOM);
		mine->out_packets += count;
		mine->out_octets += packet.length;
	}

	count_out(sender.counted, count, packet.length);
	return receiver.prr[1] ? send(ctx, &way, bpf_htons(ETH_P_IPV6), inner_at) : send(ctx, &way, bpf_htons(ETH_P_IP), ETH_HLEN);
}

PROGRAM int prr(context *ctx)
{
	struct ethhdr *ethernet;

	if (!is_for_us(ctx))
		return GO_ON;
	ethernet = (void *)(long)ctx->data;
	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return GO_ON;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP))
		return from_internet(ctx);
	if (ethernet->h_proto == bpf_htons(ETH_P_IPV6))
		return from_smap(ctx);
	return GO_ON;
}

/* Some helpers are for programs that say they are GPL. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
