using System.Xml.Linq;
using APlusP.Core;
using ScottPlot;

namespace APlusP.Survey.Reports;

/// <summary>A chart of a report.</summary>
/// <param name="Name">Its file's name, and its id in the page.</param>
/// <param name="Title">What it shows.</param>
/// <param name="Description">What one sees in it, for who does not see it.</param>
/// <param name="Plot">The drawing.</param>
/// <param name="Height">In pixels; all are as wide.</param>
public sealed record ReportChart(string Name, string Title, string Description, Plot Plot, int Height = ReportChart.UsualHeight)
{
    const int Width = 960, UsualHeight = 420;

    // Pixels of a PNG to each of the drawing, so that letters are sharp in print.
    const int PngScale = 2;

    static readonly XNamespace s_svg = "http://www.w3.org/2000/svg";

    /// <summary>The drawing as SVG that has a name for screen readers, fits any width, and shares no id with another in the same page.</summary>
    /// <exception cref="APlusPException">AP7010: it cannot be drawn.</exception>
    public XElement Svg()
    {
        XElement svg = Drawn(() => XElement.Parse(Plot.GetSvgXml(Width, Height)));
        svg.SetAttributeValue("width", null);
        svg.SetAttributeValue("height", null);
        svg.SetAttributeValue("viewBox", $"0 0 {Width} {Height}");
        svg.SetAttributeValue("role", "img");
        svg.SetAttributeValue("aria-labelledby", $"{Name}-title {Name}-description");
        foreach (XAttribute attribute in svg.DescendantsAndSelf().Attributes().ToArray())
        {
            if (attribute.Name == "id") attribute.Value = $"{Name}-{attribute.Value}";
            else if (attribute.Value.StartsWith("url(#", StringComparison.Ordinal)) attribute.Value = $"url(#{Name}-{attribute.Value[5..]}";
            else if (attribute.Name == "font-family") attribute.Value = $"{attribute.Value}, Verdana, sans-serif";
            else if (attribute.Name == "x" || attribute.Name == "y") attribute.Value = attribute.Value.TrimEnd(',', ' ');
        }

        foreach (XElement text in svg.Descendants(s_svg + "text")) text.Value = text.Value.Trim();

        svg.AddFirst(new XElement(s_svg + "title", new XAttribute("id", $"{Name}-title"), Title), new XElement(s_svg + "desc", new XAttribute("id", $"{Name}-description"), Description));
        return svg;
    }

    /// <exception cref="APlusPException">AP7010: it cannot be drawn.</exception>
    public byte[] Png() => Drawn(() =>
    {
        Plot.ScaleFactor = PngScale;
        try
        {
            return Plot.GetImageBytes(Width * PngScale, Height * PngScale, ImageFormat.Png);
        }
        finally
        {
            Plot.ScaleFactor = 1;
        }
    });

    /// <summary>Draws, and says what is missing where that cannot be.</summary>
    internal static T Drawn<T>(Func<T> draw)
    {
        try
        {
            if (SkiaSharp.SKFontManager.Default.FontFamilyCount == 0) throw new APlusPException(ErrorCodes.ReportNotWritten, "charts cannot be drawn: there is no font on this machine. Install one, such as Debian's fonts-dejavu-core, or copy the survey to a machine that has one.");
            return draw();
        }
        catch (Exception error) when (error is DllNotFoundException or TypeInitializationException { InnerException: DllNotFoundException })
        {
            throw new APlusPException(ErrorCodes.ReportNotWritten, $"charts cannot be drawn: libSkiaSharp.so is not beside the executable ({AppContext.BaseDirectory}). Copy it there from where aplusp was built.", error);
        }
    }
}
