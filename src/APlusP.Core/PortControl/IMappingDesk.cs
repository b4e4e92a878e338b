namespace APlusP.Core.PortControl;

/// <summary>Where requests meet the book of mappings, one at a time, while no packet passes.</summary>
public interface IMappingDesk
{
    /// <summary>Hands a request to the book, puts in force what it changes, and keeps that, before anybody hears of it.</summary>
    T Ask<T>(Func<MappingBook, IPortsInUse, long, T> request);

    /// <summary>Seconds since the mappings that there are were begun to be kept, RFC 6887 section 8.5 and RFC 6886 section 3.6.</summary>
    uint Epoch { get; }
}
