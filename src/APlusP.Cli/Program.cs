using System.CommandLine;
using APlusP.Cli.Verbs;
using APlusP.Core;

var root = new RootCommand("Shares public IPv4 addresses between the subscribers of an IPv6-only network (Address plus Port, RFC 6346).")
{
    // One line a verb, in the order of `aplusp --help`; each is a file in Verbs/.
    BenchVerb.Create(),
    DemoVerb.Create(),
    LabVerb.Create(),
    PortSetVerb.Create(),
    ReplayVerb.Create(),
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
