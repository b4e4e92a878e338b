using System.CommandLine;
using APlusP.Cli.Verbs;
using APlusP.Core;

var root = new RootCommand("Shares public IPv4 addresses between the subscribers of an IPv6-only network (Address plus Port, RFC 6346).")
{
    // One line a verb, in alphabetical order; each is a file in Verbs/.
    BenchVerb.Create(),
    BindingVerb.Create(),
    ConfigVerb.Create(),
    CompletionVerb.Create(),
    StatusVerbs.CreateCounters(),
    DemoVerb.Create(),
    DoctorVerb.Create(),
    ExplainVerb.Create(),
    HouseholdVerb.Create(),
    LabVerb.Create(),
    PlanVerb.Create(),
    PortSetVerb.Create(),
    DaemonVerbs.CreatePrr(),
    RegistryVerb.Create(),
    StatusVerbs.CreateReload(),
    ReplayVerb.Create(),
    RuleVerb.Create(),
    DaemonVerbs.CreateSmap(),
    StatusVerbs.CreateStatus(),
    SurveyVerb.Create(),
    WebProxyVerb.Create(),
    WhoVerb.Create(),
};

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (APlusPException error)
{
    Console.Error.WriteLine($"aplusp: {error.Code}: {error.Message}");
    return 1;
}
