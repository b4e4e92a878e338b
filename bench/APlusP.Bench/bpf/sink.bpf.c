/* Counts every frame that arrives at a device, and drops it: before the kernel has made a packet of it, or after. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define PROCESSORS 1024

/* A cache line for each processor. */
struct count {
	__u64 frames;
	__u64 unused[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PROCESSORS);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

static __always_inline void count_one(void)
{
	__u32 processor = bpf_get_smp_processor_id();
	struct count *count = bpf_map_lookup_elem(&counts, &processor);

	if (count)
		count->frames++;
}

SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	count_one();
	return XDP_DROP;
}

SEC("tc")
int sink_tc(struct __sk_buff *ctx)
{
	count_one();
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
