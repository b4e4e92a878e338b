using System.CommandLine;
using System.Net;
using APlusP.Core;
using APlusP.Http;
using APlusP.Registry.Configuration;
using APlusP.Survey.Sites;
using APlusP.Survey.Storage;

namespace APlusP.Cli.Verbs;

/// <summary>Surveys of several sites: what collects them, what sends them, and what puts them together.</summary>
static class SurveySitesVerb
{
    public static IEnumerable<Command> Create() => [Collector(), Site(), Push(), Merge()];

    static Option<string> DataOption() => new("--data") { Description = "The collector's directory: a store for each site, and their tokens' hashes.", Required = true, HelpName = "DIR" };

    static Command Collector()
    {
        Option<string> data = DataOption(), format = LogOutput.FormatOption();
        var listen = new Option<string[]>("--listen") { Description = $"Address and port; 127.0.0.1:{SiteCollector.DefaultPort} when left out. May be given several times." };
        var certificate = new Option<string?>("--certificate") { Description = "PEM file; needed beyond loopback." };
        var key = new Option<string?>("--key") { Description = "PEM file of the certificate's key." };
        var command = new Command("collector", "Take in what several sites measure, each into DIR/SITE.db. 'aplusp survey site add' makes their tokens.") { data, listen, certificate, key, format };
        command.Validators.Add(result =>
        {
            if (result.GetResult(certificate) is null != result.GetResult(key) is null) result.AddError("--certificate and --key go together.");
        });
        command.SetAction(async (parsed, _) =>
        {
            var at = new List<IPEndPoint>();
            foreach (string text in parsed.GetValue(listen) ?? [])
                at.Add(RegistryConfigurationFile.TryParseEndPoint(text, out IPEndPoint? end) ? end! : throw new APlusPException(ErrorCodes.CollectorNotListening, $"--listen: '{text}' is not an address and port such as 127.0.0.1:{SiteCollector.DefaultPort} or [2001:db8::1]:{SiteCollector.DefaultPort}."));
            var place = new CollectorPlace(Path.GetFullPath(parsed.GetValue(data)!), at.Count > 0 ? at : [new IPEndPoint(IPAddress.Loopback, SiteCollector.DefaultPort)], parsed.GetValue(certificate), parsed.GetValue(key));
            bool json = parsed.GetValue(format) == "json";
            await using SiteCollector collector = await SiteCollector.Start(place, logging => LogOutput.Configure(logging, json));
            await collector.WaitForShutdown();
        });
        return command;
    }

    static Command Site()
    {
        var command = new Command("site", "Say which sites a collector takes surveys from.");
        command.Add(OfSite("add", "Add a site, or give it a new token, and print the token. Nobody can read it later.", (book, name) => Console.WriteLine(book.Add(name))));
        command.Add(OfSite("remove", "End a site's token. What it sent stays.", (book, name) => book.Remove(name)));
        Option<string> data = DataOption();
        var list = new Command("list", "Print the sites that have a token.") { data };
        list.SetAction(parsed =>
        {
            foreach (string name in new SiteBook(parsed.GetValue(data)!).Names) Console.WriteLine(name);
        });
        command.Add(list);
        return command;
    }

    static Command OfSite(string verb, string description, Action<SiteBook, string> act)
    {
        Option<string> data = DataOption();
        var name = new Argument<string>("SITE") { Description = "Lower-case letters, digits and hyphens." };
        var command = new Command(verb, description) { name, data };
        command.SetAction(parsed => act(new SiteBook(parsed.GetValue(data)!), parsed.GetValue(name)!));
        return command;
    }

    static Command Push()
    {
        var options = new SurveyOptions();
        var to = new Option<string>("--to") { Description = "The collector, such as https://collector.example:8647.", Required = true, HelpName = "URL" };
        var token = new Option<string>("--token-file") { Description = "File with this site's token, which others may not read.", Required = true };
        var ca = new Option<string?>("--ca-file") { Description = "PEM file of who may make the collector's certificate." };
        var pin = new Option<string?>("--pin") { Description = "SHA-256 of the collector's certificate." };
        var every = new Option<string?>("--every") { Description = "Send again and again, so far apart: seconds, or 15m, 2h. Once when left out.", HelpName = "TIME" };
        var command = new Command("push", "Send a survey to a collector: whatever that does not have yet. May run beside the survey itself.") { options.Store, to, token, ca, pin, every };
        command.SetAction(async (parsed, _) =>
        {
            ApiAddress collector = CollectorAt(parsed.GetValue(to)!, parsed.GetValue(pin)) with { TokenFile = parsed.GetValue(token), CaFile = parsed.GetValue(ca) };
            using var pusher = new SitePusher(parsed.GetValue(options.Store)!, collector);
            TimeSpan? period = parsed.GetValue(every) is { } text ? SurveyOptions.Period("--every", text) : null;
            using var interruption = new Interruption();
            await Push(pusher, period, interruption.Token);
        });
        return command;
    }

    /// <summary>Once, or until it is stopped; then a collector that is away is told, and tried again.</summary>
    static async Task Push(SitePusher pusher, TimeSpan? period, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                try
                {
                    Console.WriteLine($"sent {await pusher.Push(stop):N0} sample(s)");
                }
                catch (APlusPException error) when (period is not null)
                {
                    Console.Error.WriteLine($"{error.Code}: {error.Message}");
                }

                if (period is null) return;
                await Task.Delay(period.Value, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C.
        }
    }

    static ApiAddress CollectorAt(string text, string? pin)
    {
        if (!Uri.TryCreate(text.EndsWith('/') ? text : $"{text}/", UriKind.Absolute, out Uri? url) || url.Scheme is not ("http" or "https"))
            throw new APlusPException(ErrorCodes.NoCollector, $"--to: '{text}' is not a collector's address such as https://collector.example:{SiteCollector.DefaultPort}.");
        if (url.Scheme == "http" && !url.IsLoopback) throw new APlusPException(ErrorCodes.NoCollector, $"--to: {text} is plain HTTP, where anybody on the way could read the token; beyond this machine it begins with https://.");
        return new ApiAddress(url) { Pin = pin is null ? null : ApiAddress.PinOf(pin) ?? throw new APlusPException(ErrorCodes.NoCollector, $"--pin: '{pin}' is not the SHA-256 of a certificate, as `openssl x509 -in FILE -noout -fingerprint -sha256` prints it.") };
    }

    static Command Merge()
    {
        var options = new SurveyOptions();
        var files = new Argument<string[]>("FILE") { Description = "Surveys of one period; each is called by its file's name.", Arity = ArgumentArity.OneOrMore };
        var command = new Command("merge", "Put surveys of several sites together in a new one. A host is called SITE/NAME there.") { files, options.Store };
        command.SetAction(parsed =>
        {
            var sites = new List<(string Name, SurveyStore Store)>();
            try
            {
                foreach (string file in parsed.GetValue(files)!)
                {
                    string name = Path.GetFileNameWithoutExtension(file);
                    if (sites.Any(s => s.Name == name)) throw new APlusPException(ErrorCodes.SurveySettings, $"two of these files are called {name}, and so would their hosts be. Rename one.");
                    sites.Add((name, SurveyStore.Open(file)));
                }

                foreach ((string site, int leftOut) in SurveyStore.Merge(parsed.GetValue(options.Store)!, sites))
                    if (leftOut > 0) Console.Error.WriteLine($"{site}: {leftOut:N0} sample(s) came too soon after another, and were left out");
            }
            finally
            {
                foreach ((_, SurveyStore store) in sites) store.Dispose();
            }
        });
        return command;
    }
}
