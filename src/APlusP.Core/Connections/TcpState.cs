namespace APlusP.Core.Connections;

/// <summary>States of a TCP connection as the kernel's connection tracking numbers them (linux/netfilter/nf_conntrack_tcp.h); RFC 9293 section 3.3.2 says what they mean.</summary>
public enum TcpState : byte
{
    None,
    SynSent,
    SynReceived,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,

    /// <summary>Both sides sent a SYN; LISTEN in the text of old kernels.</summary>
    SynSentTwice,
}

/// <summary>States as the kernel's tables spell them.</summary>
public static class TcpStates
{
    static readonly string[] s_names = ["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"];

    public static string NameOf(TcpState state) => s_names[(int)state];
}
