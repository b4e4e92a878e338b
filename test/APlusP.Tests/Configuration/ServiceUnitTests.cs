using System.Globalization;

namespace APlusP.Tests.Configuration;

/// <summary>The units for systemd: nobody is there who would start a daemon again.</summary>
public class ServiceUnitTests
{
    public static TheoryData<string> Units => [.. Directory.GetFiles(Repository.PathOf("deploy/systemd"), "*.service").Select(f => Path.GetFileName(f))];

    [Theory]
    [MemberData(nameof(Units))]
    public void A_daemon_that_dies_is_started_again_within_five_seconds_however_often_it_does(string unit)
    {
        Dictionary<string, string> keys = File.ReadLines(Repository.PathOf($"deploy/systemd/{unit}")).Select(l => l.Split('=', 2)).Where(l => l.Length == 2 && l[0] is "Restart" or "RestartSec" or "StartLimitIntervalSec")
            .ToDictionary(l => l[0], l => l[1], StringComparer.Ordinal);
        Assert.Equal("on-failure", keys["Restart"]);
        Assert.InRange(int.Parse(keys["RestartSec"], CultureInfo.InvariantCulture), 1, 4);
        Assert.Equal("0", keys["StartLimitIntervalSec"]);
    }
}
