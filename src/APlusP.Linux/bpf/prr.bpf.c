/*
 * The PRR's fast path: the plain packet of a known binding, either way and between subscribers, from one device to the next without leaving the
 * driver's context. Everything else goes on as it came, and the kernel's route takes it up to tier 1, src/APlusP.Core/Forwarding, whose
 * answers these programs give octet for octet.
 *
 * One source for two hooks: tc (tcx ingress), which carries segmentation offload's super-packets whole, and, with -DXDP, XDP.
 */
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);		/* the daemon says how many */
	__type(key, __u32);
	__type(value, struct bucket);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, union place);
} places SEC(".maps");

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

struct subscriber {
	__u64 smap[2], prr[2];
	__u16 payload_mtu, next_hop;
	struct softwire *counted;	/* null for one by a rule */
};

/* ---- Whose port it is */

/* How an address's ports are divided; 0 where it is not shared. A function of its own, which the verifier looks at once. */
__noinline __u64 ports_of(__u32 address, __u32 buckets)
{
	__u64 spread = (__u64)bpf_ntohl(address) * 0x9E3779B97F4A7C15ULL >> 32;
	__u32 at = spread * buckets >> 32;

	for (int i = 0; i < MOST_BUCKETS; i++) {
		struct bucket *bucket = bpf_map_lookup_elem(&addresses, &at);

		if (!bucket)
			return 0;
		for (int j = 0; j < BUCKET_RECORDS; j++) {
			__u32 there = READ_ONCE(bucket->records[j].address);

			if (there == address)
				return READ_ONCE(bucket->records[j].ports);
			if (!there)
				return 0;
		}
		if (++at >= buckets)
			at = 0;
	}
	return 0;
}

/* The slot of a port, or of a PSID, in an ascending list; 0 where nobody has it. */
__noinline __u32 search(__u32 low, __u32 left, __u32 wanted)
{
	union place *place;

	/* 65536 at most: sixteen halvings leave one. */
	for (int i = 0; i < 17 && left > 1; i++) {
		__u32 half = left >> 1, at = low + half;

		place = bpf_map_lookup_elem(&places, &at);
		if (!place)
			return 0;
		if (place->first <= wanted)
			low += half;
		left -= half;
	}
	place = bpf_map_lookup_elem(&places, &low);
	return place && left && wanted >= place->first && wanted <= place->last ? place->slot : 0;
}

/* The slot of a port of an address, or 0. */
INLINE __u32 locate(union ports ports, __u16 port)
{
	__u32 kind = ports.kind_offset & 15, offset = ports.kind_offset >> 4, psid = 0, at = ports.at;
	int has_psid = 1;
	union place *place;

	if (kind == PORTS_RANGES)
		return search(at, ports.what, port);
	if (ports.length) {
		has_psid = !offset || port >> (16 - offset & 31);
		psid = port >> (16 - offset - ports.length & 31) & (1 << (ports.length & 31)) - 1;
	}
	if (kind == PORTS_ONE)
		return has_psid && psid == ports.what ? at : 0;
	if (kind == PORTS_ROW)
		return has_psid ? at + psid : 0;
	if (kind == PORTS_INDEX) {
		at += psid >> 1;
		place = has_psid ? bpf_map_lookup_elem(&places, &at) : 0;
		return place ? psid & 1 ? READ_ONCE(place->slots[1]) : READ_ONCE(place->slots[0]) : 0;
	}
	if (kind == PORTS_LISTS) {
		__u32 ranges, psids, slot;

		place = bpf_map_lookup_elem(&places, &at);
		if (!place)
			return 0;
		ranges = place->ranges;
		psids = place->psids;
		slot = search(at + 1, ranges, port);
		return slot || !has_psid ? slot : search(at + 1 + ranges, psids, psid);
	}
	return 0;
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
	subscriber->next_hop = rule->next_hop;
	subscriber->counted = 0;
	return UP_REASONS;
}

/* Whether an address is shared at all, by a binding or by a rule. */
struct owner {
	union ports ports;
	struct rule *rule;
};

INLINE int is_shared(const struct config *config, __u32 address, struct owner *owner)
{
	struct route_key key = { .length = 32, .address = address };

	owner->ports.whole = ports_of(address, config->buckets);
	owner->rule = config->flags & HAS_RULES ? bpf_map_lookup_elem(&rules, &key) : 0;
	if (owner->ports.whole)
		return 1;
	barrier();	/* or the compiler ors pointers, which the verifier does not let it */
	return owner->rule != 0;
}

/* The subscriber of a port of a shared address: bindings first, then rules. */
INLINE enum up find_subscriber(const struct owner *owner, __u32 address, __u16 port, struct subscriber *subscriber)
{
	enum up found = UP_NO_BINDING;
	__u32 slot = owner->ports.whole ? locate(owner->ports, port) : 0;

	if (slot)
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

/* ---- Where it goes, and how it looks then */

INLINE int find_way_to_smap(context *ctx, const struct subscriber *subscriber, const struct packet *packet, struct way *way)
{
	return find_way_of_softwire(ctx, subscriber->next_hop, subscriber->prr, subscriber->smap, packet, way);
}

INLINE void fill_outer(struct ipv6hdr *outer, const struct config *config, const struct subscriber *to, const struct packet *packet)
{
	begin_outer(outer, packet, flow_label(config->secret, packet->from, packet->to), config->hop_limit);
	__builtin_memcpy(&outer->saddr, to->prr, sizeof(outer->saddr));
	__builtin_memcpy(&outer->daddr, to->smap, sizeof(outer->daddr));
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

/* The last steps, when nothing can make the packet go up any more: TTL, Ethernet header, and off. */
INLINE int send(context *ctx, const struct way *way, __be16 protocol, __u32 inner_at)
{
	struct iphdr *ip = (void *)(long)ctx->data + inner_at;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return GO_ON;
	take_ttl(ip);
	return dispatch(ctx, way, protocol);
}

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

	if (!keeps_class(traffic_class, packet.traffic_class, settings->flags))
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
		if (!find_way_of_ipv4(ctx, settings->flags & ROUTES_KNOWN, ctx->ingress_ifindex, &packet, &way))
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
	switch (protocol_to_us(ctx)) {
	case bpf_htons(ETH_P_IP):
		return from_internet(ctx);
	case bpf_htons(ETH_P_IPV6):
		return from_smap(ctx);
	default:
		return GO_ON;
	}
}

/* Some helpers are for programs that say they are GPL. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
