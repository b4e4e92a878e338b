using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Linux;
using APlusP.Node.Control;

namespace APlusP.Node.Doctor;

/// <summary>Examines the SMAP of this machine: asks its daemon, and finds out by itself what that cannot know.</summary>
public static class HomeDoctor
{
    /// <param name="socket">The daemon's control socket; null for the SMAP among those that run here.</param>
    public static async Task<DoctorDocument> Examine(string? socket)
    {
        (string? path, StatusDocument? daemon, string? fault) = FindDaemon(socket);
        SmapStatus? smap = daemon?.Smap;
        var facts = new DoctorFacts
        {
            Daemon = daemon,
            DaemonFault = fault,
            Addresses = AddressWatch.Addresses(),
            Routers = AddressWatch.DefaultRouters(),
            PlainIpv4 = AddressWatch.DefaultDevicesV4().FirstOrDefault(d => d != daemon?.Device),
            Registry = smap?.Lease is { } lease && !Diagnosis.IsByPcp(lease) ? await RegistryProbe.Look(new Uri(lease.Registry)) : null,
        };
        if (smap is null || IPv6Address.Parse(smap.PrrAddress) is not { IsUnicast: true } prr) return Diagnosis.Of(facts);
        facts = facts with { Path = PathProbe.Measure(prr, smap.PayloadMtu + IPv6Header.Size) };
        return Diagnosis.Of(smap.IsSuspended ? facts : facts with { Softwire = TrySoftwire(path!, daemon!.Device, smap) });
    }

    static (string? Path, StatusDocument? Daemon, string? Fault) FindDaemon(string? socket)
    {
        string? fault = null;
        try
        {
            foreach (string path in ControlClient.Sockets(socket))
            {
                try
                {
                    if (ControlClient.Ask(path, "status").Status is { Smap: not null } status) return (path, status, null);
                    fault ??= $"the daemon at {path} is no SMAP";
                }
                catch (APlusPException silent)
                {
                    fault = silent.Message;
                }
            }
        }
        catch (APlusPException none)
        {
            fault = none.Message;
        }

        return (null, null, fault);
    }

    static SoftwireSight TrySoftwire(string path, string device, SmapStatus smap)
    {
        if (smap.Outgoing != "softwire") return new SoftwireSight(null, 0) { NotTried = "packets leave as plain IPv4 here (`outgoing`), so none can be sent into the softwire" };
        (IcmpAnswer? answer, string? notTried) = SoftwireProbe.Send(device, IPv4Address.Parse(smap.SharedAddress));
        return new SoftwireSight(answer, RefusalsNow(path, smap.Refusals) - smap.Refusals) { NotTried = notTried };
    }

    /// <summary>The daemon's count of refusals after the probe; as before where it has gone meanwhile.</summary>
    static long RefusalsNow(string path, long before)
    {
        try
        {
            return ControlClient.Ask(path, "status").Status?.Smap?.Refusals ?? before;
        }
        catch (APlusPException)
        {
            return before;
        }
    }
}
