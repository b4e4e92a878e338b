/* Sends every frame out of another device, unread: what XDP can do at most. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	__u32 zero = 0, *device = bpf_map_lookup_elem(&devices, &zero);

	return device ? bpf_redirect(*device, 0) : XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
