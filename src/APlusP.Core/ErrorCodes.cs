namespace APlusP.Core;

/// <summary>
/// An error that a person can do something about: start-up, configuration and kernel calls. The message says what was tried, on
/// what, why it failed and what to do. Every code is a heading in docs/errors.md.
/// </summary>
public sealed class APlusPException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>One of <see cref="ErrorCodes"/>.</summary>
    public string Code { get; } = code;
}

/// <summary>Codes of errors: AP1 configuration, AP2 kernel, AP3 daemons and their control, AP4 captures, AP5 lab, AP6 registry, AP7 survey and planner.</summary>
public static class ErrorCodes
{
    /// <summary>A configuration file cannot be read.</summary>
    public const string ConfigurationUnreadable = "AP1001";

    /// <summary>A configuration file has faults; each is printed with its place.</summary>
    public const string ConfigurationFaulty = "AP1002";

    /// <summary>Two bindings contradict each other.</summary>
    public const string BindingConflict = "AP1003";

    /// <summary>What was given is not a port set.</summary>
    public const string NotAPortSet = "AP1010";

    /// <summary>A configuration file is not TOML.</summary>
    public const string ConfigurationSyntax = "AP1011";

    /// <summary>A configuration file has a key that nothing reads.</summary>
    public const string ConfigurationUnknownKey = "AP1012";

    /// <summary>A value of a configuration file is of another type than its key takes.</summary>
    public const string ConfigurationWrongType = "AP1013";

    /// <summary>A number of a configuration file is out of range.</summary>
    public const string ConfigurationOutOfRange = "AP1014";

    /// <summary>A value of a configuration file is not of the form that its key takes.</summary>
    public const string ConfigurationBadValue = "AP1015";

    /// <summary>A configuration file lacks a key.</summary>
    public const string ConfigurationMissingKey = "AP1016";

    /// <summary>Two keys of a configuration file contradict each other.</summary>
    public const string ConfigurationContradiction = "AP1017";

    /// <summary>A name or address that must be unique stands twice.</summary>
    public const string ConfigurationTwice = "AP1018";

    /// <summary>An address is none that a host can have.</summary>
    public const string ConfigurationNotUnicast = "AP1019";

    /// <summary>A path MTU cannot be.</summary>
    public const string ConfigurationBadMtu = "AP1020";

    /// <summary>A binding's PRR end is not one of this PRR's.</summary>
    public const string ConfigurationForeignPrr = "AP1021";

    /// <summary>Warning: a port set reaches the system ports.</summary>
    public const string ConfigurationSystemPorts = "AP1022";

    /// <summary>Warning: a timer is shorter than its RFC asks for.</summary>
    public const string ConfigurationShortTimer = "AP1023";

    /// <summary>A line of a bindings-file cannot be read.</summary>
    public const string BindingsFileFault = "AP1024";

    /// <summary>A port that is to be forwarded is not in the port set.</summary>
    public const string ConfigurationForwardNotOurs = "AP1025";

    /// <summary>What was given to explain tells no packet and no port.</summary>
    public const string NotAPacketSentence = "AP1030";

    /// <summary>The report's format cannot say a configuration.</summary>
    public const string NotExportable = "AP1031";

    /// <summary>What was given is not a mapping rule: its parameters contradict each other.</summary>
    public const string NotAMappingRule = "AP1040";

    /// <summary>A mapping rule says nothing about what was asked.</summary>
    public const string NotMapped = "AP1041";

    /// <summary>Two mapping rules contradict each other, or a rule and a binding.</summary>
    public const string RuleConflict = "AP1042";

    /// <summary>Warning: an End-user IPv6 prefix says more than its mapping rule knows.</summary>
    public const string BeyondTheRule = "AP1043";

    /// <summary>A configuration of another program breaks the rules of its own format.</summary>
    public const string ForeignSyntax = "AP1050";

    /// <summary>Warning: a setting of another program's configuration has no counterpart, or the other way round.</summary>
    public const string NotCarriedOver = "AP1051";

    /// <summary>/dev/net/tun cannot be opened.</summary>
    public const string TunNotOpened = "AP2001";

    /// <summary>The TUN device cannot be made.</summary>
    public const string TunNotMade = "AP2002";

    /// <summary>The kernel refused a change of links or routes.</summary>
    public const string NetlinkRefused = "AP2003";

    /// <summary>A raw socket cannot be opened.</summary>
    public const string RawSocketRefused = "AP2004";

    /// <summary>A kernel setting cannot be read or written.</summary>
    public const string SysctlRefused = "AP2005";

    /// <summary>nft refuses a table, or is not there.</summary>
    public const string NftablesRefused = "AP2006";

    /// <summary>The kernel refuses an eBPF program, or the library that loads it is missing.</summary>
    public const string FastPathRefused = "AP2010";

    /// <summary>The kernel refuses a change of an eBPF map.</summary>
    public const string FastPathMapRefused = "AP2011";

    /// <summary>An eBPF program cannot be put on a device.</summary>
    public const string FastPathNotAttached = "AP2012";

    /// <summary>There is no BPF file system to pin programs in, and none can be mounted.</summary>
    public const string FastPathNotMounted = "AP2013";

    /// <summary>Warning: XDP cannot hand frames to a device.</summary>
    public const string FastPathDeviceRefuses = "AP2014";

    /// <summary>A network namespace cannot be entered.</summary>
    public const string NamespaceNotEntered = "AP2101";

    /// <summary>The control socket of a daemon cannot be made.</summary>
    public const string ControlSocketNotMade = "AP3001";

    /// <summary>No daemon answers.</summary>
    public const string NoDaemon = "AP3002";

    /// <summary>A daemon answers at this control socket already.</summary>
    public const string AlreadyRunning = "AP3003";

    /// <summary>A daemon could not answer a request.</summary>
    public const string ControlRequestFailed = "AP3004";

    /// <summary>A configuration changes what cannot change while the daemon runs.</summary>
    public const string NeedsRestart = "AP3005";

    /// <summary>No binding has this softwire or name.</summary>
    public const string NoSuchBinding = "AP3006";

    /// <summary>A request about a binding cannot be read.</summary>
    public const string BadBindingRequest = "AP3007";

    /// <summary>What a daemon needs to be known to a registry, or to know it, cannot be used: a file with a token or with certificates.</summary>
    public const string RegistryCredential = "AP3010";

    /// <summary>What a registry tells of its leases is broken: lines are missing, or are none.</summary>
    public const string BrokenFeed = "AP3011";

    /// <summary>A binding is a registry's, which alone changes it.</summary>
    public const string LeasedBinding = "AP3012";

    /// <summary>A SMAP cannot keep or read its identity and lease.</summary>
    public const string HomeState = "AP3013";

    /// <summary>A SMAP's lease was not given back.</summary>
    public const string LeaseNotReleased = "AP3014";

    /// <summary>A forward cannot be added or removed as asked.</summary>
    public const string ForwardRequest = "AP3015";

    /// <summary>Port mappings cannot be kept, or what was kept cannot be read.</summary>
    public const string MappingState = "AP3016";

    /// <summary>What was given by hand is no line: an address, a gateway or a device that cannot be.</summary>
    public const string NoRescue = "AP3017";

    /// <summary>The PCP server of a SMAP does not answer.</summary>
    public const string NoPcpAnswer = "AP3020";

    /// <summary>The PCP server of a SMAP does not do what it is asked.</summary>
    public const string PcpRefused = "AP3021";

    /// <summary>The web proxy cannot take the connections of its devices.</summary>
    public const string WebProxyNotStarted = "AP3030";

    /// <summary>The page of the household cannot keep its key and password.</summary>
    public const string HouseholdState = "AP3040";

    /// <summary>The page of the household cannot listen.</summary>
    public const string HouseholdNotListening = "AP3041";

    /// <summary>A form of the page of the household was not filled in right.</summary>
    public const string HouseholdRequest = "AP3042";

    /// <summary>A program that does some of a daemon's work cannot be run.</summary>
    public const string ProgramNotRun = "AP3050";

    /// <summary>A capture cannot be opened, read or written.</summary>
    public const string CaptureUnreadable = "AP4001";

    /// <summary>A file is no capture, or one of a form that is not read.</summary>
    public const string NotACapture = "AP4002";

    /// <summary>A capture contradicts its own format, or ends too early.</summary>
    public const string CaptureDamaged = "AP4003";

    /// <summary>A capture of a link type that is not read.</summary>
    public const string CaptureLinkType = "AP4004";

    /// <summary>No capture is given, or none that holds what is needed.</summary>
    public const string NothingToReplay = "AP4005";

    /// <summary>Packets of a replay went unaccounted for: a fault of this program.</summary>
    public const string ReplayUnbalanced = "AP4006";

    /// <summary>A program that the lab runs is not installed.</summary>
    public const string LabProgramMissing = "AP5001";

    /// <summary>A command of the lab failed; its words are in the message.</summary>
    public const string LabCommandFailed = "AP5002";

    /// <summary>The lab needs a right or a kernel feature that is not here.</summary>
    public const string LabNotPossible = "AP5003";

    /// <summary>A lab of this name exists already.</summary>
    public const string LabExists = "AP5004";

    /// <summary>No lab of this name, or it has no such host.</summary>
    public const string LabNotFound = "AP5005";

    /// <summary>A program of the lab did not come up, or ended by itself.</summary>
    public const string LabProcessEnded = "AP5006";

    /// <summary>A setting of an emulated link that cannot be.</summary>
    public const string LinkSettingWrong = "AP5007";

    /// <summary>A load cannot be played as it is asked for.</summary>
    public const string WhatIfWrong = "AP5008";

    /// <summary>The registry is started with settings that cannot be.</summary>
    public const string RegistrySettings = "AP6001";

    /// <summary>The registry's database cannot be used.</summary>
    public const string RegistryStorage = "AP6002";

    /// <summary>The registry's database was made by a newer program.</summary>
    public const string RegistryTooNew = "AP6003";

    /// <summary>A pool is divided otherwise than its leases are.</summary>
    public const string PoolContradicts = "AP6004";

    /// <summary>The registry cannot listen where it should.</summary>
    public const string RegistryNotListening = "AP6005";

    /// <summary>The registry's memory is not as it was written.</summary>
    public const string MemoryBroken = "AP6006";

    /// <summary>No registry answers, or it refuses.</summary>
    public const string NoRegistry = "AP6007";

    /// <summary>A registry is to be moved into a database that another uses.</summary>
    public const string DatabaseInUse = "AP6008";

    /// <summary>A request to the registry is not understood.</summary>
    public const string BadRequest = "AP6010";

    /// <summary>A request to the registry does not say who asks, or its token is not known.</summary>
    public const string NotAuthenticated = "AP6011";

    /// <summary>Who asks the registry may not do this.</summary>
    public const string NotAllowed = "AP6012";

    /// <summary>The registry has no such lease, reservation, credential or page.</summary>
    public const string NotThere = "AP6013";

    /// <summary>A request contradicts a lease or reservation that there is.</summary>
    public const string LeaseConflict = "AP6014";

    /// <summary>No ports are left.</summary>
    public const string PoolExhausted = "AP6015";

    /// <summary>A lease has the most or least ports that its class allows.</summary>
    public const string LeaseLimit = "AP6016";

    /// <summary>A lease changed its size a moment ago.</summary>
    public const string TooSoon = "AP6017";

    /// <summary>A request id was used for another request.</summary>
    public const string RequestIdUsed = "AP6018";

    /// <summary>Too many wrong tokens came from one place.</summary>
    public const string TooManyWrongTokens = "AP6019";

    /// <summary>The registry's database is away.</summary>
    public const string StorageAway = "AP6020";

    /// <summary>The registry failed at a request: a fault of this program.</summary>
    public const string RegistryFault = "AP6021";

    /// <summary>The registry cannot answer DHCPv6 where it should.</summary>
    public const string DhcpNotListening = "AP6040";

    /// <summary>The registry cannot answer PCP where it should.</summary>
    public const string PcpNotListening = "AP6041";

    /// <summary>A file for the survey cannot be read.</summary>
    public const string SurveyFileUnreadable = "AP7001";

    /// <summary>A file holds nothing that the survey counts.</summary>
    public const string NotASurveyFile = "AP7002";

    /// <summary>Warning: a line of a file is not understood, and left out.</summary>
    public const string SurveyLineFault = "AP7003";

    /// <summary>The survey's store cannot be used.</summary>
    public const string SurveyStorage = "AP7004";

    /// <summary>A survey is asked for with settings that cannot be.</summary>
    public const string SurveySettings = "AP7005";

    /// <summary>The survey's store has no such host.</summary>
    public const string NoSuchHost = "AP7006";

    /// <summary>The survey's store has a sample of that time.</summary>
    public const string SampleExists = "AP7007";

    /// <summary>The kernel does not tell its connections.</summary>
    public const string ConnectionsRefused = "AP7008";

    /// <summary>A survey has nothing of which a report could be made.</summary>
    public const string NothingToReport = "AP7009";

    /// <summary>A report cannot be drawn or written.</summary>
    public const string ReportNotWritten = "AP7010";

    /// <summary>There is no traffic model of that name.</summary>
    public const string NoSuchModel = "AP7011";

    /// <summary>A collector of surveys has no such site, or the name cannot be one.</summary>
    public const string NoSuchSite = "AP7012";

    /// <summary>A collector of surveys does not answer, or refuses.</summary>
    public const string NoCollector = "AP7013";

    /// <summary>A collector of surveys cannot listen, or its certificate cannot be used.</summary>
    public const string CollectorNotListening = "AP7014";

    /// <summary>What was sent to a collector of surveys is no batch of samples.</summary>
    public const string BadBatch = "AP7015";

    /// <summary>A plan is asked for with assumptions that cannot be.</summary>
    public const string PlanAssumption = "AP7020";

    /// <summary>A survey is too short to plan from.</summary>
    public const string NothingToPlanFrom = "AP7021";
}
