using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;

namespace APlusP.Tests.Registry;

/// <summary>Subscribers that do anything at any time to a pool that is too small for them, and a model of what must be true of it.</summary>
static class LeaseModel
{
    const int Subscribers = 12;

    /// <summary>Two addresses of 8 blocks.</summary>
    public static LeasePolicy Tight => RegistryScene.Policy("192.0.2.0/31", block: 16, ports: "2000-2127",
        new SubscriberClass("home", 16, 16, 48), new SubscriberClass("business", 40, 32, 100));

    public static void Run(RegistryScene scene, Random random, int steps)
    {
        var model = new Dictionary<string, Lease>();
        var seen = new List<(Lease Lease, DateTimeOffset At)>();
        for (int step = 0; step < steps; step++)
        {
            scene.Clock.Now += TimeSpan.FromSeconds(random.Next(6) == 0 ? random.Next(4000) : random.Next(40));
            if (random.Next(10) == 0) scene.Upkeep();
            string name = $"cpe-{random.Next(Subscribers)}";
            Lease? mine = model.GetValueOrDefault(name);
            if (mine is not null && mine.Until <= scene.Clock.Now) mine = null;
            try
            {
                switch (random.Next(mine is null ? 1 : 6))
                {
                    case 0:
                        Lease asked = scene.Grant(name, className: mine?.Class ?? (random.Next(3) == 0 ? "business" : "home"));
                        if (mine is not null) Assert.Equal(mine, asked);
                        model[name] = asked;
                        break;
                    case 1:
                        scene.Change(b => b.Release(mine!.Id));
                        model.Remove(name);
                        seen.RemoveAll(s => HadForNoTime(s.Lease, s.At));
                        break;
                    case 2 or 3:
                        model[name] = scene.Change(b => b.Renew(mine!.Id));
                        Assert.Equal(mine!.Ports, model[name].Ports);
                        break;
                    case 4:
                        model[name] = scene.Change(b => b.Grow(mine!.Id, random.Next(2) == 0 ? null : random.Next(1, 64)));
                        Assert.All(mine!.Ports.Ranges, range => Assert.Contains(model[name].Ports.Ranges, r => r.First <= range.First && r.Last >= range.Last));
                        break;
                    default:
                        model[name] = scene.Change(b => b.Shrink(mine!.Id, random.Next(2) == 0 ? null : random.Next(1, 64)));
                        Assert.True(model[name].Ports.Count < mine!.Ports.Count);
                        seen.RemoveAll(s => HadForNoTime(s.Lease, s.At));
                        break;
                }
            }
            catch (Refusal)
            {
                // Nothing changed: the next lines hold the registry to what it was.
            }

            // Given back in the same millisecond in which it was seen.
            bool HadForNoTime(Lease lease, DateTimeOffset at) => lease.Id == mine!.Id && at == scene.Clock.Now;

            if (model.TryGetValue(name, out Lease? now) && now.Until > scene.Clock.Now) seen.Add((now, scene.Clock.Now));
            AssertDisjoint(scene, model);
        }

        // What was answered at each moment, the memory still says.
        foreach ((Lease lease, DateTimeOffset at) in seen)
            foreach (PortRange range in lease.Ports.Ranges)
                Assert.Equal((lease.Subscriber, lease.Id), Who(scene, lease.Address, random.Next(range.First, range.Last + 1), at));
        scene.AssertNoOverlap();
        scene.AssertRoomIsCounted();
        Verification verification = scene.Registrar.Verify();
        Assert.Empty(verification.Faults);
    }

    static (string?, string?) Who(RegistryScene scene, IPv4Address address, int port, DateTimeOffset at)
    {
        WhoAnswer who = scene.Who(address, port, at);
        return (who.Subscriber, who.Lease);
    }

    static void AssertDisjoint(RegistryScene scene, Dictionary<string, Lease> model)
    {
        Lease[] living = [.. model.Values.Where(l => l.Until > scene.Clock.Now)];
        for (int i = 0; i < living.Length; i++)
            for (int j = 0; j < i; j++)
                Assert.False(living[i].Address == living[j].Address && living[i].Ports.Overlaps(living[j].Ports), $"{living[i]} and {living[j]}");
    }
}
