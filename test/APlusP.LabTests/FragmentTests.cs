using System.Net;
using System.Net.Sockets;
using APlusP.Lab;

namespace APlusP.LabTests;

public class FragmentLab : LabFixture
{
    public FragmentLab()
        : this("tc")
    {
    }

    protected FragmentLab(string fastPath)
        : base(LabPlan.Fig22($"tfrag{fastPath}") with { FastPath = fastPath })
    {
        Lab.StartIperf("www4");
        ForgetMtu("A", "B");
    }
}

/// <summary>Fragments between real hosts.</summary>
public abstract class FragmentTests(FragmentLab lab)
{
    [Theory]
    [InlineData("A")]
    [InlineData("B")]
    public void A_ping_of_9000_octets_goes_and_comes_in_fragments(string host) => lab.Test(() =>
        lab[host].Ping("-s", "9000", "-M", "dont", "-c", "3", "-i", "0.2", "-W", "3", LabTopology.Www4Address));

    [Fact]
    public void A_large_ping_from_the_internet_reaches_the_host_that_holds_its_identifier() => lab.Test(() =>
    {
        lab["A"].Do("ping", "-e", "11020", "-c", "1", "-W", "2", LabTopology.Www4Address);
        lab["www4"].Ping("-e", "11020", "-s", "5000", "-M", "dont", "-c", "3", "-i", "0.2", "-W", "3", LabPlan.SharedAddress);
    });

    [Fact]
    public void Two_homes_exchange_fragments_through_the_prr() => lab.Test(() =>
    {
        using Socket a = Client("A", 11030), b = Client("B", 10030);
        byte[] message = new byte[5000], received = new byte[65536];
        Random.Shared.NextBytes(message);

        // Each opens its own filter for the other's address; the ports lie in the sets and are kept.
        a.SendTo(new byte[1], new IPEndPoint(IPAddress.Parse(LabPlan.SharedAddress), 10030));
        b.SendTo(message, new IPEndPoint(IPAddress.Parse(LabPlan.SharedAddress), 11030));
        Assert.Equal(message, Receive(a));
        a.SendTo(message, new IPEndPoint(IPAddress.Parse(LabPlan.SharedAddress), 10030));
        Assert.Equal(message, Receive(b));

        byte[] Receive(Socket socket)
        {
            // The opener may have found the other's mapping there already.
            int length;
            do length = socket.Receive(received);
            while (length == 1);
            return received[..length];
        }

        Socket Client(string host, int port)
        {
            Socket socket = lab[host].Call(() => Echo.Open(IpFragmentation.Allow));
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.ReceiveTimeout = 3000;
            return socket;
        }
    });
}

public sealed class FragmentByTheKernelTests(FragmentLab lab) : FragmentTests(lab), IClassFixture<FragmentLab>;

public sealed class FragmentWithoutFastPathLab() : FragmentLab("off");

public sealed class FragmentWithoutFastPathTests(FragmentWithoutFastPathLab lab) : FragmentTests(lab), IClassFixture<FragmentWithoutFastPathLab>;
