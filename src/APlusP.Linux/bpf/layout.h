/*
 * The maps that the daemon writes and the programs read: this file is one half, FastPath/Layout.cs the other. Whoever changes either raises
 * LAYOUT_VERSION, so that programs and maps of different versions never meet.
 *
 * An entry that changes while programs read it begins with a sequence number, odd while it is being written: a program that meets an odd one, or
 * another one afterwards, passes its packet up.
 */
#pragma once

#define LAYOUT_VERSION 4

/* ---- config: one entry */

enum {
	ICMP_FROM_INTERNET = 1 << 0,	/* ICMP from the Internet goes to subscribers */
	HAIRPINNING = 1 << 1,		/* subscribers reach each other */
	ROUTES_KNOWN = 1 << 2,		/* `routes` says what the kernel's own tables say */
	HAS_RULES = 1 << 3,		/* `rules` is not empty */
	TAKES_SERVICES = 1 << 4,	/* what leaves the softwire takes its DSCP */
};

struct config {
	__u64 secret;			/* makes flow labels unforeseeable; 0 leaves them 0 */
	__u32 flags;
	__u32 buckets;			/* of `addresses` */
	__u8 hop_limit;			/* of outer headers */
	__u8 padding[7];
};

/*
 * ---- addresses: shared IPv4 address -> how its ports are divided
 *
 * A hash table of buckets of a cache line. Who is not in the bucket of its hash is in one of the next ones; a free record ends the search. A record is never
 * moved, and its ports are read and written as one number.
 */

enum { BUCKET_RECORDS = 4, MOST_BUCKETS = 8 };

enum {
	PORTS_NONE,
	PORTS_ONE,			/* one PSID alone: `at` is its slot, `what` the PSID; a whole address is PSID 0 of length 0 */
	PORTS_ROW,			/* `at` is the slot of PSID 0, and the 2^length slots stand in a row (RFC 7597 section 5.1) */
	PORTS_INDEX,			/* from `at` on 2^length slots by PSID, two in a place */
	PORTS_RANGES,			/* from `at` on `what` ranges, ascending */
	PORTS_LISTS,			/* at `at` stand two lengths, behind it so many ranges and so many PSIDs, both ascending */
};

union ports {
	__u64 whole;
	struct {
		__u32 at;
		__u16 what;
		__u8 kind_offset;	/* kind in the low half; a in the high one */
		__u8 length;		/* k */
	};
};

struct bucket {
	struct {
		__u32 address;		/* network order; 0 where the record was never used */
		__u32 padding;
		__u64 ports;
	} records[BUCKET_RECORDS];
};

/* ---- places: what `ports` lead to. Slot 0 is nobody's. */

union place {
	struct {
		__u16 first, last;	/* ports, or the PSID twice */
		__u32 slot;
	};
	__u32 slots[2];
	struct {
		__u32 ranges, psids;
	};
};

/* ---- softwires: a cache line for each subscriber, by slot */

struct softwire {
	__u32 sequence;
	__u32 address;			/* the subscriber's IPv4 address, network order; 0 where the slot is free */
	__u16 payload_mtu;		/* largest IPv4 packet that goes in without asking tier 1 */
	__u16 prr;			/* index into `ends` */
	__u16 next_hop;			/* towards the SMAP: index into `next_hops`, ASK_KERNEL or PASS_UP */
	__u16 large;			/* set where a packet went that not every path carries */
	__u64 smap[2];			/* the SMAP's end, network order */
	__u64 in_packets, in_octets;	/* to the subscriber, counted as IPv4 */
	__u64 out_packets, out_octets;	/* from the subscriber */
};

struct end {
	__u64 prr[2];			/* one of the PRR's ends, network order */
};

/* ---- next hops, and the IPv4 routes that lead to them */

enum {
	ASK_KERNEL = 0,
	BY_ROUTE = 0xfffe,		/* as `routes6` says */
	PASS_UP = 0xffff,
};

struct next_hop {
	__u32 sequence;
	__u32 device;			/* interface index; 0 where nothing is known: then the kernel is asked */
	__u8 to[6], from[6];		/* Ethernet addresses */
	__u16 mtu;
	__u8 padding[10];
};

struct route_key {
	__u32 length;
	__u32 address;			/* network order */
};

struct route6_key {
	__u32 length;
	__u32 address[4];		/* network order */
};

/* ---- rules: IPv4 prefix -> mapping rule (RFC 7597 section 5), in shifts and masks */

struct rule {
	__u64 prefix[2];		/* Rule IPv6 prefix, host order, high half first */
	__u64 identifier_mask;		/* what of the interface identifier is left */
	__u32 address, rule_mask, subscriber_mask;
	__s32 only_psid;		/* the one PSID that the rule has, or -1 */
	__u16 payload_mtu;
	__u16 prr;
	__u8 suffix_shift, psid_length, ea_shift, has_ea, block_shift, psid_shift, first_block, address_shift, psid_at;
	__u8 up;			/* packets of this rule go up: another rule has part of its prefix */
	__u16 next_hop;			/* towards all of its CEs, or BY_ROUTE where they have several */
};

/* ---- paths: CE of a rule -> what the path to it carries, for those to whom large packets go */

struct path {
	__u32 payload_mtu;
	__u32 large;			/* set where a packet went that not every path carries */
};

/* ---- counters, one set for each CPU */

/* Why a packet of ours went up to tier 1. */
enum up {
	UP_NO_BINDING,
	UP_HEADER,			/* a header that is not plain and whole */
	UP_FRAGMENT,
	UP_PROTOCOL,			/* neither TCP, UDP nor ICMP echo */
	UP_ICMP,			/* an ICMP message that is no echo, or from where none may come */
	UP_SYN,
	UP_TTL,
	UP_TOO_BIG,
	UP_SOURCE,			/* the source check failed */
	UP_CONGESTION,			/* outer and inner congestion marks, or services, are to be joined */
	UP_DESTINATION,			/* inner destination is no host's */
	UP_HAIRPIN,			/* to a subscriber, where that is off */
	UP_NO_ROUTE,			/* no next hop, or the kernel itself is it */
	UP_CHANGING,			/* the binding was being changed */
	UP_ROOM,			/* no room in the buffer for another header */
	UP_NO_FLOW,			/* SMAP: no flow that the programs know has it */
	UP_REASONS,
};

struct counters {
	__u64 in_packets, in_octets;		/* from the Internet, into softwires */
	__u64 out_packets, out_octets;		/* from SMAPs, to the Internet */
	__u64 hairpin_packets, hairpin_octets;	/* from SMAPs, to SMAPs */
	__u64 up_in[UP_REASONS], up_out[UP_REASONS];
	__u64 lost_in, lost_out;		/* half translated when the kernel had no memory: nobody can have them any more */
};
