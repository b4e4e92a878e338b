namespace APlusP.Core.Pcp;

/// <summary>What is asked, RFC 6887 section 19.2.</summary>
public enum PcpOpcode : byte
{
    Announce = 0,
    Map = 1,
    Peer = 2,
}

/// <summary>How it went, RFC 6887 section 7.4.</summary>
public enum PcpResult : byte
{
    Success = 0,
    UnsupportedVersion = 1,
    NotAuthorized = 2,
    MalformedRequest = 3,
    UnsupportedOpcode = 4,
    UnsupportedOption = 5,
    MalformedOption = 6,
    NetworkFailure = 7,
    NoResources = 8,
    UnsupportedProtocol = 9,
    UserExceedsQuota = 10,
    CannotProvideExternal = 11,
    AddressMismatch = 12,
    ExcessiveRemotePeers = 13,
}

/// <summary>Options by their codes: RFC 6887 section 13, RFC 7753 section 4.1. Who does not know one from 128 on leaves it out, and refuses for any other.</summary>
public enum PcpOptionCode : byte
{
    ThirdParty = 1,
    PreferFailure = 2,
    Filter = 3,
    PortSet = 130,
}

/// <summary>Options that a server processes.</summary>
[Flags]
public enum PcpOptionSet
{
    None = 0,
    ThirdParty = 1,
    PreferFailure = 2,
    Filter = 4,
    PortSet = 8,
}

/// <summary>What is the same for all messages, and what people call result codes.</summary>
public static class PcpNumbers
{
    /// <summary>The version of RFC 6887.</summary>
    public const byte Version = 2;

    /// <summary>R, beside the opcode: it is a response.</summary>
    internal const byte ResponseBit = 0x80;

    /// <summary>UDP ports, RFC 6887 section 19.1.</summary>
    public const int ServerPort = 5351, ClientPort = 5350;

    /// <summary>No message is longer, RFC 6887 section 7; and each is whole words long.</summary>
    public const int LongestMessage = 1100, Word = 4;

    /// <summary>The common header of requests, and that of responses, RFC 6887 sections 7.1 and 7.2.</summary>
    public const int HeaderSize = 24;

    /// <summary>The first option code that may be left unprocessed, RFC 6887 section 7.3.</summary>
    public const byte FirstOptional = 128;

    static readonly string[] s_names =
    [
        "SUCCESS", "UNSUPP_VERSION", "NOT_AUTHORIZED", "MALFORMED_REQUEST", "UNSUPP_OPCODE", "UNSUPP_OPTION", "MALFORMED_OPTION", "NETWORK_FAILURE", "NO_RESOURCES", "UNSUPP_PROTOCOL",
        "USER_EX_QUOTA", "CANNOT_PROVIDE_EXTERNAL", "ADDRESS_MISMATCH", "EXCESSIVE_REMOTE_PEERS",
    ];

    /// <summary>All results that there are, by number.</summary>
    public static IReadOnlyList<string> ResultNames => s_names;

    /// <summary>As the RFC writes it.</summary>
    public static string NameOf(PcpResult result) => (int)result < s_names.Length ? s_names[(int)result] : $"result {(int)result}";

    /// <summary>How long a client is to take an error for granted: those that pass by themselves half a minute, the others half an hour (RFC 6887 section 7.4).</summary>
    public static TimeSpan LifetimeOf(PcpResult error) => IsPassing(error) ? TimeSpan.FromSeconds(30) : TimeSpan.FromMinutes(30);

    /// <summary>Whether asking again soon may help.</summary>
    public static bool IsPassing(PcpResult error) => error is PcpResult.NetworkFailure or PcpResult.NoResources or PcpResult.UserExceedsQuota or PcpResult.CannotProvideExternal;
}
