/*
 * The SMAP's maps, as the daemon writes and the programs read them: this file is one half, FastPath/SmapLayout.cs the other. Flows outlive the daemon, and the next
 * one goes on with them: whoever changes what is pinned (flows, states, ended, ends, counters) raises SMAP_LAYOUT_VERSION, and flows of before are lost at the upgrade.
 */
#pragma once
#include "layout.h"

#define SMAP_LAYOUT_VERSION 2

/* ---- config: one entry */

enum {
	REWRITES_IDENTIFICATION = 1 << 0,	/* packets that may be fragmented get one of `identifications` */
	SENDS_PLAIN = 1 << 1,			/* outwards as plain IPv4; ROUTES_KNOWN (1 << 2) and TAKES_SERVICES (1 << 4) are as in layout.h */
};

struct smap_config {
	__u64 secret;			/* as in struct config */
	__u64 smap[2];			/* our end of the softwire, network order */
	__u32 shared;			/* the shared address, network order */
	__u32 flags;
	__u32 own_device;		/* the TUN, from where plain packets come to the kernel's rules */
	__u32 identifications;		/* how many there are, and how many each CPU is ahead of the one before */
	__u32 stride;
	__u8 hop_limit;			/* of outer headers */
	__u8 padding[3];
	__u64 identity[4];		/* digest of what flows stand on: who has another forgets them */
};

/* ---- flows: either direction's numbers of a flow -> its slot in `states` */

struct flow_key {
	__u32 local;			/* outwards the host of the home, inwards 0; network order */
	__u32 remote;
	__u16 local_port;		/* outwards the host's, inwards ours; ICMP identifiers too. Host order */
	__u16 remote_port;		/* ICMP: 0 */
	__u8 protocol;
	__u8 inwards;
	__u16 padding;
};

/* ---- states: a cache line for each flow of the NAPT, by its index there */

enum {
	FORWARDS = 1 << 7,		/* in `seen`: programs may forward it */
	SEEN_RESET = 1 << 4,		/* in `seen`: TcpSeen.Reset */

	RESET = 1,			/* in `reset`: a reset went, and nothing from inside after it */
	NOT_BELIEVED = 2,		/* a reset was, and then something from inside */
};

struct flow {
	__u32 sequence;			/* odd while it is being changed */
	__u32 inside, remote;		/* network order */
	__u16 inside_port, remote_port, external;	/* host order */
	__u8 protocol;			/* 0 where the slot is free */
	__u8 end;			/* index into `ends` */
	__u8 seen;			/* what tier 1 has seen of a TCP connection (TcpSeen), for the daemon after it */
	__u8 fin_out, fin_in, reset;	/* what the programs have */
	__u32 last_out, last_in;	/* monotonic clock, 2^24 ns; RST is no sign of life */
	__u64 out_packets, out_octets, in_packets, in_octets;	/* counted as IPv4 */
};

/* ---- ended: for each 64 slots, whether a program has changed fin_out, fin_in or reset in one of them */

/* ---- ends: the far ends of softwires. 0 is the PRR, others are subscribers who are reached directly */

struct far_end {
	__u32 sequence;
	__u32 payload_mtu;		/* largest IPv4 packet that goes in without asking tier 1 */
	__u64 address[2];		/* network order */
	__u32 large;			/* set where a packet went that not every path carries */
	__u32 padding;
};

/*
 * ---- end_hops: for each end, the index of its next hop in `next_hops`, or ASK_KERNEL or PASS_UP. Not with the end itself: the programs of two daemons, which share the ends
 * while one takes over, have next hops of their own.
 */

/* ---- identifications: those of the port set, four in an entry */

struct identifications {
	__u16 of[4];
};
