/*
 * Makes UDP packets of many subscribers, plain or in softwires, and sends each into a device. It is run by BPF_PROG_TEST_RUN with live frames: the
 * kernel keeps a set of pages and runs the program on each over and over, without laying out the frame anew. What devices have written into it
 * meanwhile is written over here.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INLINE static __always_inline
#define ETHERNET 14
#define BACKLOG 1000000		/* nanoseconds that a paced run may be late and still catch up */

/* Recipe.cs has the other half of this. */
struct recipe {
	__u8 headers[88];	/* Ethernet, IPv6 where there is a softwire, IPv4, UDP; what follows is left out of them */
	__u32 device;
	__u32 subscriber, remote;	/* the first addresses, host order */
	__u32 count;		/* of subscribers or flows, one of which each frame is of at random; 0 takes them in turn */
	__u32 ports;		/* of the subscriber, 1 and up; 0 where its number says address, PSID and softwire */
	__u16 first_port, remote_port;
	__u16 sum;		/* of the UDP packet without what is left out */
	__u8 from_subscriber, unused;
	__u64 interval;		/* nanoseconds from one frame to the next, or 0 */
	__u64 most;		/* frames, or 0 */
	__u64 first;		/* of those in turn */
};

struct progress {
	__u64 sent, due;
	__u32 stop;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct recipe);
} recipes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct progress);
} progresses SEC(".maps");

INLINE __u32 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Whether a frame is to go now. */
INLINE int is_due(const struct recipe *recipe, struct progress *progress)
{
	__u64 now;

	if (progress->stop || recipe->most && progress->sent >= recipe->most)
		return 0;
	if (!recipe->interval)
		return 1;
	now = bpf_ktime_get_ns();
	if (now < progress->due)
		return 0;
	progress->due = (now - progress->due > BACKLOG ? now : progress->due) + recipe->interval;
	return 1;
}

INLINE int generate(struct xdp_md *ctx, const int at)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *from, *to = data;
	struct iphdr *ip = data + at;
	struct udphdr *udp = (void *)(ip + 1);
	__u32 zero = 0, subscriber, remote, sum = 0, check;
	__u16 *half = (void *)ip, port;
	struct recipe *recipe = bpf_map_lookup_elem(&recipes, &zero);
	struct progress *progress = bpf_map_lookup_elem(&progresses, &zero);
	__u64 n;

	if (data + sizeof(recipe->headers) > end || !recipe || !progress || !is_due(recipe, progress))
		return XDP_DROP;
	n = recipe->count ? (__u64)bpf_get_prandom_u32() * recipe->count >> 32 : recipe->first + progress->sent;
	progress->sent++;

	from = (void *)recipe->headers;
#pragma unroll
	for (int i = 0; i < (at + (int)sizeof(*ip) + (int)sizeof(*udp) + 7) / 8; i++)
		to[i] = from[i];

	subscriber = recipe->subscriber;
	remote = recipe->remote;
	if (recipe->ports) {
		port = recipe->first_port + n % recipe->ports;
		if (!recipe->count)
			remote += n / recipe->ports;
	} else {
		/* 256 to an address, of PSIDs with offset 6: as `aplusp bench generate` gives them out */
		__u32 random = bpf_get_prandom_u32();

		subscriber += n >> 8;
		port = (1 + random % 63) << 10 | (n & 255) << 2 | random >> 30;
		if (at != ETHERNET && recipe->from_subscriber) {
			struct ipv6hdr *ipv6 = data + ETHERNET;

			ipv6->saddr.in6_u.u6_addr32[1] = bpf_htonl(bpf_ntohl(ipv6->saddr.in6_u.u6_addr32[1]) + n);
		}
	}

	ip->saddr = bpf_htonl(recipe->from_subscriber ? subscriber : remote);
	ip->daddr = bpf_htonl(recipe->from_subscriber ? remote : subscriber);
	udp->source = bpf_htons(recipe->from_subscriber ? port : recipe->remote_port);
	udp->dest = bpf_htons(recipe->from_subscriber ? recipe->remote_port : port);
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += half[i];
	ip->check = ~folded(sum);
	check = recipe->sum + half[6] + half[7] + half[8] + half[9] + udp->source + udp->dest;
	udp->check = ~folded(check);
	return bpf_redirect(recipe->device, 0);
}

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	return generate(ctx, ETHERNET);
}

SEC("xdp")
int softwire(struct xdp_md *ctx)
{
	return generate(ctx, ETHERNET + sizeof(struct ipv6hdr));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
