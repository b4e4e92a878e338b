using APlusP.Core;
using APlusP.Node.Control;
using APlusP.Node.Doctor;

namespace APlusP.Household;

/// <summary>The router, as the page asks it.</summary>
interface IHousehold
{
    /// <summary>How it is; null where it does not answer.</summary>
    SmapStatus? Status();

    /// <summary>How its web proxy fares; null where there is none.</summary>
    WebProxyStatus? WebProxy();

    /// <summary>Which ports lead where; null where it does not answer.</summary>
    MappingsDocument? Mappings();

    /// <summary>Lets a port lead to a device.</summary>
    /// <exception cref="APlusPException">It cannot.</exception>
    void AddForward(string port, string to, string protocol);

    /// <summary>Ends that, and what a device asked for of the port itself.</summary>
    /// <exception cref="APlusPException">It leads nowhere, or the router's file says where.</exception>
    void RemoveForward(string port, string protocol);

    /// <summary>What is wrong with the line.</summary>
    Task<DoctorDocument> Examine();
}

/// <summary>By the control sockets of the SMAP and its web proxy.</summary>
sealed class SmapHousehold(HouseholdPlace place) : IHousehold
{
    public SmapStatus? Status() => Ask(place.SmapSocket, "status")?.Status?.Smap;

    public WebProxyStatus? WebProxy() => File.Exists(place.WebProxySocket) ? Ask(place.WebProxySocket, "status")?.WebProxy : null;

    public MappingsDocument? Mappings() => Ask(place.SmapSocket, "mappings")?.Mappings;

    public void AddForward(string port, string to, string protocol) => ControlClient.Ask(place.SmapSocket, $"forward add {Word(port)} {Word(to)} {Word(protocol)}");

    public void RemoveForward(string port, string protocol) => ControlClient.Ask(place.SmapSocket, $"forward remove {Word(port)} {Word(protocol)}");

    public Task<DoctorDocument> Examine() => HomeDoctor.Examine(place.SmapSocket);

    static ControlAnswer? Ask(string socket, string verb)
    {
        try
        {
            return ControlClient.Ask(socket, verb);
        }
        catch (APlusPException)
        {
            return null;
        }
    }

    /// <summary>One word of a request: what somebody types must not become two.</summary>
    static string Word(string text) => text.Length is > 0 and < 64 && text.All(c => c is > ' ' and <= '~') ? text
        : throw new APlusPException(ErrorCodes.HouseholdRequest, $"'{text}' cannot stand in a form of this page: something is missing, or there are blanks in it.");
}
