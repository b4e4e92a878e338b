/*
 * The SMAP's fast path: the plain packet of a flow that tier 1 (src/APlusP.Core/Forwarding) has given a port, translated, and into the softwire or out of it, with the packets of
 * segmentation offload whole. What it decides not, which is every first packet and all that opens a connection, goes on as it came, and the kernel's route takes it up.
 */
#include "common.h"
#include "smap.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct smap_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);		/* the daemon says how many */
	__type(key, struct flow_key);
	__type(value, __u32);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} ended SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct far_end);
} ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} end_hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct identifications);
} identifications SEC(".maps");

/* Where each CPU is in them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cursors SEC(".maps");

/* A flow as it was when the packet met it. */
struct found {
	struct flow *flow;
	__u64 end[2];
	__u32 slot, inside, end_index, payload_mtu;
	__u16 inside_port, external;
};

/* Reads the end of a softwire; 0 where it is being changed. */
INLINE struct far_end *read_end(__u32 index, __u64 *address)
{
	struct far_end *end = bpf_map_lookup_elem(&ends, &index);
	__u32 sequence;

	if (!end)
		return 0;
	sequence = READ_ONCE(end->sequence);
	barrier();
	address[0] = READ_ONCE(end->address[0]);
	address[1] = READ_ONCE(end->address[1]);
	barrier();
	return sequence & 1 || sequence != READ_ONCE(end->sequence) ? 0 : end;
}

/* Finds a packet's flow. A key that was left behind leads to a slot that is free or another's: the slot says itself whose it is. */
INLINE enum up find_flow(const struct flow_key *key, struct found *found)
{
	__u32 *slot = bpf_map_lookup_elem(&flows, key), sequence, remote;
	__u16 remote_port;
	__u8 protocol, seen;
	struct far_end *end;
	struct flow *flow;

	if (!slot)
		return UP_NO_FLOW;
	found->slot = *slot;
	flow = bpf_map_lookup_elem(&states, &found->slot);
	if (!flow)
		return UP_NO_FLOW;
	sequence = READ_ONCE(flow->sequence);
	barrier();
	found->inside = READ_ONCE(flow->inside);
	found->inside_port = READ_ONCE(flow->inside_port);
	found->external = READ_ONCE(flow->external);
	found->end_index = READ_ONCE(flow->end);
	remote = READ_ONCE(flow->remote);
	remote_port = READ_ONCE(flow->remote_port);
	protocol = READ_ONCE(flow->protocol);
	seen = READ_ONCE(flow->seen);
	end = read_end(found->end_index, found->end);
	if (!end)
		return UP_CHANGING;
	found->payload_mtu = READ_ONCE(end->payload_mtu);
	barrier();
	if (sequence & 1 || sequence != READ_ONCE(flow->sequence))
		return UP_CHANGING;
	if (!(seen & FORWARDS) || protocol != key->protocol || remote != key->remote || remote_port != key->remote_port)
		return UP_NO_FLOW;
	if (key->inwards ? found->external != key->local_port : found->inside != key->local || found->inside_port != key->local_port)
		return UP_NO_FLOW;
	found->flow = flow;
	return UP_REASONS;
}

/*
 * What tier 1 hears of a connection's end: it looks at the slots of an entry of `ended` that is set. What a host sends after a reset shows that it did not believe it
 * (RFC 7857 section 2.2).
 */
INLINE void note_flags(const struct found *found, const struct packet *packet, int outwards)
{
	struct flow *flow = found->flow;
	__u32 group = found->slot >> 6;
	__u64 *changed;

	if (packet->flags & FLAG_FIN)
		*(outwards ? &flow->fin_out : &flow->fin_in) = 1;
	if (packet->flags & FLAG_RST)
		flow->reset = RESET;
	else if (outwards && (flow->reset == RESET || flow->seen & SEEN_RESET))
		flow->reset = NOT_BELIEVED;
	barrier();
	changed = bpf_map_lookup_elem(&ended, &group);
	if (changed)
		*changed = 1;
}

/* Notes that a packet of a flow went, and says when. */
INLINE void count_flow(const struct found *found, const struct packet *packet, __u32 packets, int outwards)
{
	__u32 now = bpf_ktime_get_coarse_ns() >> 24, *last = outwards ? &found->flow->last_out : &found->flow->last_in;

	if (*last != now && !(outwards && packet->flags & FLAG_RST))
		*last = now;
	__sync_fetch_and_add(outwards ? &found->flow->out_packets : &found->flow->in_packets, packets);
	__sync_fetch_and_add(outwards ? &found->flow->out_octets : &found->flow->in_octets, packet->length);
	if (packet->protocol == IPPROTO_TCP && (packet->flags || outwards && (found->flow->reset == RESET || found->flow->seen & SEEN_RESET)))
		note_flags(found, packet, outwards);
}

/* Whether a packet goes into the softwire whole; notes that a large one does. */
INLINE int fits(const struct found *found, const struct packet *packet)
{
	struct far_end *end;

	if (packet->segment <= PATH_LEAST)
		return 1;
	if (packet->segment > found->payload_mtu)
		return 0;
	end = bpf_map_lookup_elem(&ends, &found->end_index);
	if (end && !end->large)
		end->large = 1;
	return 1;
}

INLINE int find_way_to_end(context *ctx, const struct smap_config *settings, const struct found *found, const struct packet *packet, struct way *way)
{
	__u64 *next_hop = bpf_map_lookup_elem(&end_hops, &found->end_index);

	return find_way_of_softwire(ctx, next_hop ? *next_hop : ASK_KERNEL, settings->smap, found->end, packet, way);
}

/* An identification that is ours, RFC 7597 section 8.3.3; 0 with none. */
INLINE int take_identification(const struct smap_config *settings, __be16 *identification)
{
	__u32 zero = 0, at, group, *cursor = bpf_map_lookup_elem(&cursors, &zero);
	struct identifications *four;

	if (!cursor || !settings->identifications)
		return 0;
	at = ((*cursor)++ + bpf_get_smp_processor_id() * settings->stride) % settings->identifications;
	group = at >> 2;
	four = bpf_map_lookup_elem(&identifications, &group);
	if (!four)
		return 0;
	*identification = bpf_htons(four->of[at & 3]);
	return 1;
}

/* An address and a port of a packet, before and after. */
struct change {
	__u32 before, after;		/* network order */
	__be16 port_before, port_after;
	int is_source;
};

/* Translates the IPv4 packet that begins here. The transport's checksum goes by the helper alone, which knows what a device will complete or has taken over. */
INLINE int translate(context *ctx, __u32 at, __u8 protocol, const struct change *change, const __be16 *identification)
{
	__u32 transport = at + sizeof(struct iphdr), sum;
	__u64 zeros = 0;
	__be16 *ports;
	__be16 *half;
	struct iphdr *ip;

	if (protocol == IPPROTO_TCP) {
		sum = transport + offsetof(struct tcphdr, check);
	} else if (protocol == IPPROTO_UDP) {
		sum = transport + offsetof(struct udphdr, check);
		zeros = BPF_F_MARK_MANGLED_0;	/* without one it stays without */
	} else {
		sum = transport + offsetof(struct icmp_echo, checksum);
	}
	if (protocol != IPPROTO_ICMP && bpf_l4_csum_replace(ctx, sum, change->before, change->after, BPF_F_PSEUDO_HDR | zeros | sizeof(change->before)))
		return -1;
	if (bpf_l4_csum_replace(ctx, sum, change->port_before, change->port_after, zeros | sizeof(change->port_before)))
		return -1;

	ip = (void *)(long)ctx->data + at;
	ports = (void *)(ip + 1);
	if ((void *)(ports + 4) > (void *)(long)ctx->data_end)
		return -1;
	if (protocol == IPPROTO_ICMP)
		ports[2] = change->port_after;
	else
		ports[change->is_source ? 0 : 1] = change->port_after;
	take_ttl(ip);
	half = (void *)(change->is_source ? &ip->saddr : &ip->daddr);
	ip->check = mended(ip->check, change->before & 0xffff, change->after & 0xffff);
	ip->check = mended(ip->check, change->before >> 16, change->after >> 16);
	half[0] = change->after & 0xffff;
	half[1] = change->after >> 16;
	if (identification) {
		ip->check = mended(ip->check, ip->id, *identification);
		ip->id = *identification;
	}
	return 0;
}

INLINE int from_lan(context *ctx)
{
	struct counters *mine = own_counters();
	struct flow_key key = {};
	struct found found = {};
	struct packet packet = {};
	struct change change = { .is_source = 1 };
	struct way way = {};
	struct ipv6hdr outer = {};
	struct smap_config *settings;
	__u32 zero = 0, count = segments_of(ctx), plain, at = ETH_HLEN, label;
	__be16 identification = 0, *rewritten = 0;
	enum up up;

	if (pull(ctx, ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr)) && frame_length(ctx) < ETH_HLEN + sizeof(struct iphdr))
		return GO_ON;
	settings = bpf_map_lookup_elem(&config, &zero);
	if (!settings || !mine)
		return GO_ON;
	up = read_packet(ctx, ETH_HLEN, frame_length(ctx) - ETH_HLEN, &packet);
	if (up != UP_REASONS)
		UP(up_out, up);
	if (packet.to == settings->shared)
		UP(up_out, UP_HAIRPIN);
	key.local = packet.from;
	key.remote = packet.to;
	key.local_port = packet.source;
	key.remote_port = packet.protocol == IPPROTO_ICMP ? 0 : packet.destination;
	key.protocol = packet.protocol;
	up = find_flow(&key, &found);
	if (up != UP_REASONS)
		UP(up_out, up);
	plain = settings->flags & SENDS_PLAIN;
	if (!plain && !fits(&found, &packet))
		UP(up_out, UP_TOO_BIG);
	if (packet.may_fragment && settings->flags & REWRITES_IDENTIFICATION) {
		/* Its segments would have the next ones, which are others'. */
		if (segment_payload(ctx) || !take_identification(settings, &identification))
			UP(up_out, UP_FRAGMENT);
		rewritten = &identification;
	}

	change.before = packet.from;
	change.after = packet.from = settings->shared;
	change.port_before = bpf_htons(key.local_port);
	change.port_after = bpf_htons(found.external);
	if (plain ? !find_way_of_ipv4(ctx, settings->flags & ROUTES_KNOWN, settings->own_device, &packet, &way)
		  : !find_way_to_end(ctx, settings, &found, &packet, &way))
		UP(up_out, UP_NO_ROUTE);

	if (!plain) {
		label = flow_label(settings->secret, packet.from, packet.to);
		begin_outer(&outer, &packet, label, settings->hop_limit);
		__builtin_memcpy(&outer.saddr, settings->smap, sizeof(outer.saddr));
		__builtin_memcpy(&outer.daddr, found.end, sizeof(outer.daddr));
		at += sizeof(outer);
	}
	if (cut(ctx, ETH_HLEN + packet.length) || (plain ? bpf_skb_pull_data(ctx, ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr)) : make_room(ctx)))
		UP(up_out, UP_ROOM);
	if (!plain)
		write_outer(ctx, &outer);
	if (translate(ctx, at, packet.protocol, &change, rewritten)) {
		mine->lost_out += count;
		return TC_ACT_SHOT;
	}
	mine->out_packets += count;
	mine->out_octets += packet.length;
	count_flow(&found, &packet, count, 1);
	return dispatch(ctx, &way, plain ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6));
}

/* Whether softwire packets of a flow come from there: from its own far end, or from the PRR. */
INLINE int is_peer(const struct found *found, const __u64 *from)
{
	__u64 prr[2];

	if (from[0] == found->end[0] && from[1] == found->end[1])
		return 1;
	return found->end_index && read_end(0, prr) && from[0] == prr[0] && from[1] == prr[1];
}

INLINE int from_prr(context *ctx)
{
	const __u32 inner_at = ETH_HLEN + sizeof(struct ipv6hdr);
	struct counters *mine = own_counters();
	struct flow_key key = { .inwards = 1 };
	struct found found = {};
	struct packet packet = {};
	struct change change = {};
	struct way way = {};
	struct smap_config *settings;
	struct ipv6hdr *outer;
	__u32 zero = 0, count = segments_of(ctx), traffic_class, payload;
	__u64 from[2], to[2];
	enum up up;

	if (pull(ctx, inner_at + sizeof(struct iphdr) + sizeof(struct tcphdr)) && frame_length(ctx) < inner_at + sizeof(struct iphdr))
		return GO_ON;
	outer = (void *)(long)ctx->data + ETH_HLEN;
	settings = bpf_map_lookup_elem(&config, &zero);
	if ((void *)(outer + 1) > (void *)(long)ctx->data_end || !settings || !mine)
		return GO_ON;
	__builtin_memcpy(from, &outer->saddr, sizeof(from));
	__builtin_memcpy(to, &outer->daddr, sizeof(to));
	if (outer->version != 6 || outer->nexthdr != IPPROTO_IPIP || to[0] != settings->smap[0] || to[1] != settings->smap[1])
		return GO_ON;
	traffic_class = bpf_ntohl(*(__be32 *)outer) >> 20 & 0xff;
	payload = bpf_ntohs(outer->payload_len);
	if (payload + inner_at > frame_length(ctx))
		UP(up_in, UP_HEADER);
	up = read_packet(ctx, inner_at, payload, &packet);
	if (up != UP_REASONS)
		UP(up_in, up);
	if (packet.to != settings->shared)
		UP(up_in, UP_NO_FLOW);
	key.remote = packet.from;
	key.local_port = packet.destination;
	key.remote_port = packet.protocol == IPPROTO_ICMP ? 0 : packet.source;
	key.protocol = packet.protocol;
	up = find_flow(&key, &found);
	if (up != UP_REASONS)
		UP(up_in, up);
	if (!is_peer(&found, from))
		UP(up_in, UP_SOURCE);

	if (!keeps_class(traffic_class, packet.traffic_class, settings->flags))
		UP(up_in, UP_CONGESTION);
	change.before = packet.to;
	change.after = packet.to = found.inside;
	change.port_before = bpf_htons(key.local_port);
	change.port_after = bpf_htons(found.inside_port);
	if (!find_way_of_ipv4(ctx, settings->flags & ROUTES_KNOWN, ctx->ingress_ifindex, &packet, &way))
		UP(up_in, UP_NO_ROUTE);

	if (cut(ctx, inner_at + packet.length) || take_room(ctx))
		UP(up_in, UP_ROOM);
	if (translate(ctx, ETH_HLEN, packet.protocol, &change, 0)) {
		mine->lost_in += count;
		return TC_ACT_SHOT;
	}
	mine->in_packets += count;
	mine->in_octets += packet.length;
	count_flow(&found, &packet, count, 0);
	return dispatch(ctx, &way, bpf_htons(ETH_P_IP));
}

PROGRAM int smap(context *ctx)
{
	switch (protocol_to_us(ctx)) {
	case bpf_htons(ETH_P_IP):
		return from_lan(ctx);
	case bpf_htons(ETH_P_IPV6):
		return from_prr(ctx);
	default:
		return GO_ON;
	}
}

/* Some helpers are for programs that say they are GPL. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
