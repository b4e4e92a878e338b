using System.Security;
using System.Text;
using System.Xml;

namespace APlusP.Core.PortControl.Upnp;

/// <summary>An action that is asked for, with its arguments: the body of a SOAP envelope.</summary>
/// <param name="ServiceType">The namespace of the action.</param>
/// <param name="Action">Its name.</param>
/// <param name="Arguments">What was given.</param>
public sealed record SoapRequest(string ServiceType, string Action, IReadOnlyDictionary<string, string> Arguments)
{
    const string EnvelopeNamespace = "http://schemas.xmlsoap.org/soap/envelope/";

    /// <summary>More arguments, or longer ones, no action has.</summary>
    const int MostArguments = 16, LongestArgument = 1024;

    /// <summary>No entities, no document type: what an XML reader could be made to fetch or to blow up is refused.</summary>
    static readonly XmlReaderSettings s_strict = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
        IgnoreWhitespace = true,
        MaxCharactersInDocument = 16 * 1024,
    };

    public static bool TryRead(ReadOnlySpan<byte> body, out SoapRequest? request)
    {
        request = null;
        try
        {
            // What is not UTF-8 ends here rather than being guessed at.
            using var reader = XmlReader.Create(new StringReader(s_utf8.GetString(body).TrimStart('\uFEFF')), s_strict);
            request = Read(reader);
            return request is not null;
        }
        catch (Exception fault) when (fault is XmlException or DecoderFallbackException or ArgumentException)
        {
            return false;
        }
    }

    static readonly UTF8Encoding s_utf8 = new(false, throwOnInvalidBytes: true);

    static SoapRequest? Read(XmlReader reader)
    {
        if (reader.MoveToContent() != XmlNodeType.Element || reader.LocalName != "Envelope" || reader.NamespaceURI != EnvelopeNamespace || reader.IsEmptyElement) return null;
        reader.Read();

        // A header says nothing that anybody needs.
        if (reader.MoveToContent() == XmlNodeType.Element && reader is { LocalName: "Header", NamespaceURI: EnvelopeNamespace }) reader.Skip();
        if (reader.MoveToContent() != XmlNodeType.Element || reader.LocalName != "Body" || reader.NamespaceURI != EnvelopeNamespace || reader.IsEmptyElement) return null;
        reader.Read();
        if (reader.MoveToContent() != XmlNodeType.Element) return null;
        (string type, string action, bool isEmpty) = (reader.NamespaceURI, reader.LocalName, reader.IsEmptyElement);
        var arguments = new Dictionary<string, string>(StringComparer.Ordinal);
        reader.Read();
        while (!isEmpty && reader.MoveToContent() == XmlNodeType.Element)
        {
            string name = reader.LocalName, value = ReadText(reader);
            if (arguments.Count == MostArguments || value.Length > LongestArgument || !arguments.TryAdd(name, value)) return null;
        }

        // What is left must be well-formed as well, and be nothing but ends.
        if (!isEmpty) reader.ReadEndElement();
        while (reader.MoveToContent() == XmlNodeType.EndElement) reader.ReadEndElement();
        return reader.EOF ? new SoapRequest(type, action, arguments) : null;
    }

    /// <exception cref="XmlException">There is an element in it.</exception>
    static string ReadText(XmlReader reader) => reader.ReadElementContentAsString().Trim();
}

/// <summary>What comes back.</summary>
static class SoapAnswer
{
    const string Head = "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>";
    const string Tail = "</s:Body></s:Envelope>\n";

    public static string Done(string serviceType, string action, IEnumerable<KeyValuePair<string, string>> told) =>
        $"{Head}<u:{action}Response xmlns:u=\"{serviceType}\">{string.Concat(told.Select(a => $"<{a.Key}>{Text(a)}</{a.Key}>"))}</u:{action}Response>{Tail}";

    /// <summary>A list of mappings is XML in XML: as it stands in the standard's examples, since miniupnpc reads it no other way. What is in it was escaped once, so the section ends where it is to.</summary>
    static string Text(KeyValuePair<string, string> argument) => argument.Key == "NewPortListing" ? $"<![CDATA[{argument.Value}]]>" : SecurityElement.Escape(argument.Value);

    public static string Fault(UpnpError error) =>
        $"{Head}<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{(int)error}</errorCode>"
        + $"<errorDescription>{error}</errorDescription></UPnPError></detail></s:Fault>{Tail}";
}

/// <summary>Why an action is not done: UPnP Device Architecture 1.1 section 3.2.5, WANIPConnection:2 section 2.5.</summary>
public enum UpnpError
{
    None = 0,
    InvalidAction = 401,
    InvalidArgs = 402,
    ActionFailed = 501,
    ActionNotAuthorized = 606,
    SpecifiedArrayIndexInvalid = 713,
    NoSuchEntryInArray = 714,
    WildCardNotPermittedInSrcIP = 715,
    WildCardNotPermittedInExtPort = 716,
    ConflictInMappingEntry = 718,
    RemoteHostOnlySupportsWildcard = 726,
    NoPortMapsAvailable = 728,
    ConflictWithOtherMechanisms = 729,
    PortMappingNotFound = 730,
    ReadOnly = 731,
    WildCardNotPermittedInIntPort = 732,
    InconsistentParameters = 733,
}
