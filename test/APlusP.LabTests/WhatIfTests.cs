using System.Text.Json;
using APlusP.Lab;
using APlusP.Lab.Traffic;

namespace APlusP.LabTests;

/// <summary><c>aplusp lab whatif</c>: small, fast and bounded.</summary>
[Collection(Alone.Name)]
public sealed class WhatIfTests
{
    [Fact]
    public void What_is_predicted_is_what_SMAPs_refuse_and_ten_ports_are_unusable()
    {
        string name = LabFixture.NameHere("twhatif");
        RunningLab.Down(name);
        CommandResult result = Commands.Run([LabFixture.Executable, "lab", "whatif", "--name", name, "--ports", "10,50,200", "--model", "base", "--model", "facebook", "--model", "gmail", "--duration", "120", "--time-scale", "10", "--json"], timeout: TimeSpan.FromMinutes(3));
        Assert.True(result.Succeeded, result.Text);
        JsonElement document = JsonDocument.Parse(result.Output).RootElement;
        Assert.InRange(document.GetProperty("largestError").GetDouble(), 0, WhatIf.Margin);
        JsonElement[] sizes = [.. document.GetProperty("sizes").EnumerateArray()];
        Assert.Equal([10, 50, 200], sizes.Select(size => size.GetProperty("ports").GetInt32()));
        Assert.Equal(("unusable", "transparent"), (sizes[0].GetProperty("verdict").GetString(), sizes[2].GetProperty("verdict").GetString()));
        foreach (JsonElement load in sizes.Select(size => size.GetProperty("loads")[0]))
        {
            // A flow that has no port hears of it at once, and is not tried again: packets that were dropped are flows that were refused.
            Assert.Equal(load.GetProperty("measured").GetInt32(), load.GetProperty("refused").GetInt32());
            Assert.Equal((0, 0), (load.GetProperty("timedOut").GetInt32(), load.GetProperty("failed").GetInt32()));
        }

        Assert.Empty(NetworkNamespace.FindAll($"ap-{name}-"));
    }
}
