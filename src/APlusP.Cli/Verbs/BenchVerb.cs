using System.CommandLine;
using System.Text.Json;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp bench</c>: measures the PRR's data plane on one thread or several; <c>bench generate</c> writes what to measure with.</summary>
static class BenchVerb
{
    public static Command Create()
    {
        Option<int> bindings = Bindings(), packets = Packets(), size = Size();
        var unbound = new Option<bool>("--unbound") { Description = "A flood: nobody has the subscribers' ports in the packets, and the PRR sends ICMP errors at its default limit." };
        var config = new Option<string?>("--config") { Description = "Measure with this configuration and captures instead of generated ones.", HelpName = "FILE" };
        var fromInternet = new Option<string?>("--from-internet") { Description = "With --config: IPv4 packets to encapsulate.", HelpName = "CAPTURE" };
        var fromSmap = new Option<string?>("--from-smap") { Description = "With --config: IPv6 packets to decapsulate.", HelpName = "CAPTURE" };
        var seconds = new Option<double>("--seconds") { Description = "How long to measure, after a second of warming up.", DefaultValueFactory = _ => 10 };
        Option<int> threads = Number("--threads", "Threads at once, each with a router of its own, and one table. Not more than the machine has CPUs to itself.", 1, 1, 256);
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("bench", "Measure the PRR's data plane: one thread or more, both directions in turn, each packet copied from memory first.")
        {
            bindings, packets, size, unbound, config, fromInternet, fromSmap, threads, seconds, json, Generate(),
        };
        command.Validators.Add(result =>
        {
            bool captures = result.GetResult(fromInternet) is not null || result.GetResult(fromSmap) is not null;
            if (captures != result.GetResult(config) is not null) result.AddError("Give --config with --from-internet or --from-smap, or both; without all three, traffic is generated.");
            foreach (Option option in (Option[])[bindings, packets, size, unbound])
                if (captures && result.GetResult(option) is { Implicit: false }) result.AddError($"{option.Name} is for generated traffic; the captures have their own.");
            if (result.GetValue(seconds) is not (> 0 and <= 3600)) result.AddError("--seconds is more than 0 and at most 3600.");
        });
        command.SetAction(parse =>
        {
            Benchmark benchmark = parse.GetValue(config) is { } file
                ? new Benchmark(ConfigurationFile.LoadPrr(file), parse.GetValue(fromInternet), parse.GetValue(fromSmap), parse.GetValue(threads))
                : new Benchmark(new TrafficGenerator(parse.GetValue(bindings), seed: 1, parse.GetValue(unbound)), parse.GetValue(packets), parse.GetValue(size), parse.GetValue(threads));
            BenchmarkResult result = benchmark.Run(parse.GetValue(seconds));
            if (parse.GetValue(json)) PrintJson(result);
            else Print(result);
        });
        return command;
    }

    static Command Generate()
    {
        Option<int> bindings = Bindings(), packets = Packets(), size = Size();
        var seed = new Option<int>("--seed") { Description = "Of the random choices.", DefaultValueFactory = _ => 1 };
        var directory = new Option<string>("--out") { Description = "Directory for prr.toml, bindings.txt, v4.pcap and v6.pcap.", Required = true, HelpName = "DIR" };
        var command = new Command("generate", "Write a configuration and captures to measure with.") { bindings, packets, size, seed, directory };
        command.SetAction(parse => new TrafficGenerator(parse.GetValue(bindings), parse.GetValue(seed))
            .Write(parse.GetValue(directory)!, parse.GetValue(packets), parse.GetValue(size)));
        return command;
    }

    static Option<int> Bindings() => Number("--bindings", "Subscribers, 256 to an address.", 12, 1, TrafficGenerator.MaxBindings);

    static Option<int> Packets() => Number("--packets", "Distinct packets of each direction.", 1000, 1, 1_000_000);

    static Option<int> Size() => Number("--size", "Octets of an IPv4 packet; 14 less than its Ethernet frame.", 550, TrafficGenerator.MinOctets, TrafficGenerator.MaxOctets);

    static Option<int> Number(string name, string description, int standard, int least, int most)
    {
        var option = new Option<int>(name) { Description = $"{description} {least} to {most}.", DefaultValueFactory = _ => standard };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out int value) && (value < least || value > most)) result.AddError($"{name} is {least} to {most}.");
        });
        return option;
    }

    static void Print(BenchmarkResult result)
    {
        Console.WriteLine($"{"",-14}{"Mpps",6}{"min-max",14}{"ns/packet",11}{"copy alone",12}{"packets in",14}{"packets out",14}");
        foreach (BenchmarkDirection d in result.Directions)
        {
            Spread mpps = d.Mpps;
            Console.WriteLine($"{d.Name,-14}{mpps.Median,6:F2}{$"{mpps.Min:F2}-{mpps.Max:F2}",14}{d.NanosecondsPerPacket.Median,11:F1}{d.CopyNanoseconds.Median,12:F1}{d.PacketsIn,14:N0}{d.PacketsOut,14:N0}");
        }

        foreach (BenchmarkDirection d in result.Directions)
            foreach ((string reason, long count) in d.Drops) Console.WriteLine($"{d.Name} dropped {count} as {reason}");
        Console.WriteLine(string.Join(", ", result.Directions.Select(d => $"{d.Name}: {d.DistinctPackets} distinct packets of {d.MeanOctets:F0} octets on average")));
        Console.WriteLine($"{result.Bindings:N0} bindings, {(result.Threads == 1 ? "one thread" : $"{result.Threads} threads")}, batches of {result.BatchSize}, copy included; median of {result.Slices} slices of {result.Seconds / result.Slices:G3} s.");
        Console.WriteLine(result.Machine);
        if (result.ProcessorShare < 0.95)
            Console.WriteLine($"Others used this machine: each thread had {result.ProcessorShare:P0} of a processor, so these numbers are too low. Measure again when it is quiet.");
    }

    static void PrintJson(BenchmarkResult result)
    {
        using Stream output = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            writer.WriteString("machine", result.Machine);
            writer.WriteNumber("bindings", result.Bindings);
            writer.WriteNumber("threads", result.Threads);
            writer.WriteNumber("seconds", result.Seconds);
            writer.WriteNumber("slices", result.Slices);
            writer.WriteNumber("batch", result.BatchSize);
            writer.WriteNumber("processor-share", Math.Round(result.ProcessorShare, 3));
            writer.WriteStartObject("directions");
            foreach (BenchmarkDirection direction in result.Directions) Write(writer, direction);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    static void Write(Utf8JsonWriter writer, BenchmarkDirection direction)
    {
        writer.WriteStartObject(direction.Name);
        Write(writer, "mpps", direction.Mpps);
        Write(writer, "ns-per-packet", direction.NanosecondsPerPacket);
        Write(writer, "copy-ns-per-packet", direction.CopyNanoseconds);
        writer.WriteNumber("packets-in", direction.PacketsIn);
        writer.WriteNumber("packets-out", direction.PacketsOut);
        writer.WriteNumber("octets-out", direction.OctetsOut);
        writer.WriteStartObject("drops");
        foreach ((string reason, long count) in direction.Drops) writer.WriteNumber(reason, count);
        writer.WriteEndObject();
        writer.WriteNumber("distinct-packets", direction.DistinctPackets);
        writer.WriteNumber("mean-octets", Math.Round(direction.MeanOctets, 1));
        writer.WriteEndObject();
    }

    static void Write(Utf8JsonWriter writer, string name, Spread spread)
    {
        writer.WriteStartObject(name);
        writer.WriteNumber("median", Math.Round(spread.Median, 3));
        writer.WriteNumber("min", Math.Round(spread.Min, 3));
        writer.WriteNumber("max", Math.Round(spread.Max, 3));
        writer.WriteEndObject();
    }
}
