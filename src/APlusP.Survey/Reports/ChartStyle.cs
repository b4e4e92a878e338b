using ScottPlot;
using ScottPlot.TickGenerators;

namespace APlusP.Survey.Reports;

/// <summary>A series of a chart. It is told from others by its marker as well as by its colour.</summary>
readonly record struct SeriesStyle(int Number, Color Color, MarkerShape Marker)
{
    // Colours that people with any of the usual colour blindnesses tell apart, each with a contrast of 3:1 or more to white.
    static readonly (string Color, MarkerShape Marker)[] s_styles =
    [
        ("#0072B2", MarkerShape.FilledCircle), ("#D55E00", MarkerShape.FilledSquare), ("#009E73", MarkerShape.FilledTriangleUp), ("#882255", MarkerShape.FilledDiamond),
        ("#332288", MarkerShape.OpenCircle), ("#B5629A", MarkerShape.OpenSquare), ("#6B6B6B", MarkerShape.FilledTriangleDown),
    ];

    public static int Count => s_styles.Length;

    public static SeriesStyle Of(int series) => new(series, Color.FromHex(s_styles[series].Color), s_styles[series].Marker);
}

/// <summary>How all charts look: their axes, letters, lines and bars.</summary>
static class ChartStyle
{
    const float Small = 14, Large = 15, Line = 2, MarkerSize = 8;

    // A line has about so many markers, enough to know it by.
    const int Markers = 12;

    static readonly Color s_ink = Color.FromHex("#222222");

    // Without serifs where there is such a font: easier to read on screens.
    static readonly string s_font = SkiaSharp.SKFontManager.Default.FontFamilies.Intersect(["DejaVu Sans", "Noto Sans", "Liberation Sans", "Open Sans", "Arial"]).FirstOrDefault(Fonts.Default);

    static readonly TimeSpan[] s_steps =
    [
        .. new[] { 1, 2, 5, 10, 15, 30 }.Select(s => TimeSpan.FromSeconds(s)), .. new[] { 1, 2, 5, 10, 15, 30 }.Select(m => TimeSpan.FromMinutes(m)), .. new[] { 1, 2, 3, 6, 12 }.Select(h => TimeSpan.FromHours(h)),
        .. new[] { 1, 2, 7, 14, 30, 60, 180, 365 }.Select(d => TimeSpan.FromDays(d)),
    ];

    public static Plot Begin(string x, string y)
    {
        var plot = new Plot();
        plot.Font.Set(s_font);
        plot.FigureBackground.Color = Colors.White;
        plot.XLabel(x, Large);
        plot.YLabel(y, Large);
        foreach (IAxis axis in plot.Axes.GetAxes())
        {
            axis.Label.Bold = false;
            axis.Label.ForeColor = s_ink;
            axis.TickLabelStyle.FontSize = Small;
            axis.TickLabelStyle.ForeColor = s_ink;
        }

        // Nothing but room for the last letters of what is below.
        (plot.Axes.Top.FrameLineStyle.Width, plot.Axes.Right.FrameLineStyle.Width) = (0, 0);
        (plot.Axes.Top.MinimumSize, plot.Axes.Right.MinimumSize) = (12, 24);
        plot.Grid.MajorLineColor = Color.FromHex("#DDDDDD");
        plot.Legend.FontSize = Small;
        plot.Legend.FontColor = s_ink;
        plot.Legend.OutlineColor = Colors.White;
        plot.Legend.ShadowColor = Colors.Transparent;
        return plot;
    }

    /// <summary>From zero to a little more than the most, in whole numbers.</summary>
    public static void CountUpTo(this Plot plot, double most)
    {
        plot.Axes.Left.TickGenerator = Steps(Math.Max(1, most) * 1.08, least: 1);
        plot.Axes.SetLimitsY(0, Math.Max(1, most) * 1.08);
    }

    /// <summary>From zero in steps of 1, 2 or 5 times a power of ten, of which there are six at most.</summary>
    static NumericManual Steps(double most, double least = 0)
    {
        const int mostSteps = 6;
        double power = Math.Pow(10, Math.Floor(Math.Log10(most / mostSteps)));
        double step = Math.Max(least, new[] { 1, 2, 5, 10 }.Select(n => n * power).First(step => most / step <= mostSteps));
        double[] positions = [.. Enumerable.Range(0, (int)(most / step) + 1).Select(i => i * step)];
        return new NumericManual(positions, [.. positions.Select(position => position.ToString("#,0.######"))]);
    }

    public static void PercentUpTo(this Plot plot, double most)
    {
        plot.Axes.Left.TickGenerator = Steps(100);
        plot.Axes.SetLimitsY(0, most);
    }

    /// <summary>Time on the axis below, in steps that people count in.</summary>
    public static void TimeFrom(this Plot plot, DateTimeOffset first, DateTimeOffset last)
    {
        if (last == first) (first, last) = (first.AddSeconds(-5), last.AddSeconds(5));
        TimeSpan span = last - first;
        TimeSpan step = s_steps.FirstOrDefault(step => span / step <= (step.TotalDays >= 1 ? 7 : 10), s_steps[^1]);
        long ticks = (first.UtcTicks + step.Ticks - 1) / step.Ticks * step.Ticks;
        var positions = new List<double>();
        var labels = new List<string>();
        for (var at = new DateTimeOffset(ticks, TimeSpan.Zero); at <= last; at += step)
        {
            string clock = step < TimeSpan.FromMinutes(1) ? $"{at:HH:mm:ss}" : $"{at:HH:mm}";
            bool withDate = positions.Count == 0 || at.TimeOfDay < step;
            positions.Add(Seconds(at));
            labels.Add(step >= TimeSpan.FromDays(1) ? $"{at:ddd}\n{at:yyyy-MM-dd}" : withDate ? $"{clock}\n{at:yyyy-MM-dd}" : clock);
        }

        plot.Axes.Bottom.TickGenerator = new NumericManual([.. positions], [.. labels]);
        double margin = span.TotalSeconds * 0.015;
        plot.Axes.SetLimitsX(Seconds(first) - margin, Seconds(last) + margin);
    }

    /// <summary>Whole numbers on a logarithmic axis below: 1, 2, 5, 10 and so on. Positions are decimal logarithms.</summary>
    public static void LogarithmsUpTo(this Plot plot, int most)
    {
        int[] numbers = [.. Enumerable.Range(0, 6).SelectMany(power => new[] { 1, 2, 5 }.Select(n => n * (int)Math.Pow(10, power))).Where(n => n <= most * 1.1)];
        plot.Axes.Bottom.TickGenerator = new NumericManual([.. numbers.Select(n => Math.Log10(n))], [.. numbers.Select(n => $"{n:N0}")]);
        plot.Axes.SetLimitsX(-0.05, Math.Log10(most) + 0.2);
    }

    public static double Seconds(DateTimeOffset at) => at.ToUnixTimeMilliseconds() / 1000.0;

    /// <summary>A line with markers here and there; several where it is broken. Lines have no dashes, since the SVG canvas draws none.</summary>
    public static void AddLine(this Plot plot, string name, SeriesStyle style, IEnumerable<(double[] X, double[] Y)> runs)
    {
        (double[] X, double[] Y)[] all = [.. runs];
        int every = Math.Max(1, all.Sum(run => run.X.Length) / Markers);
        // Not where another line has its own, which may be close.
        int begin = every * (style.Number + 1) / (SeriesStyle.Count + 1);
        foreach ((double[] x, double[] y) in all)
        {
            if (x.Length > 1)
            {
                ScottPlot.Plottables.Scatter line = plot.Add.ScatterLine(x, y, style.Color);
                line.LineWidth = Line;
            }

            Coordinates[] marked = [.. Enumerable.Range(0, x.Length).Where(i => i % every == begin || (x.Length <= begin && i == 0)).Select(i => new Coordinates(x[i], y[i]))];
            ScottPlot.Plottables.Scatter markers = plot.Add.ScatterPoints(marked, style.Color);
            (markers.MarkerShape, markers.MarkerSize, markers.MarkerLineWidth) = (style.Marker, MarkerSize, 2);
        }

        plot.Legend.ManualItems.Add(new LegendItem { LabelText = name, LineColor = style.Color, LineWidth = Line, MarkerShape = style.Marker, MarkerColor = style.Color, MarkerSize = MarkerSize, MarkerLineColor = style.Color, MarkerLineWidth = 2 });
    }

    public static void AddBand(this Plot plot, SeriesStyle style, double[] x, double[] lower, double[] upper)
    {
        ScottPlot.Plottables.FillY band = plot.Add.FillY(x, lower, upper);
        band.FillColor = style.Color.WithOpacity(0.25);
        band.LineWidth = 0;
        band.MarkerSize = 0;
    }

    public static void AddNote(this Plot plot, string text, double x, double y)
    {
        ScottPlot.Plottables.Text note = plot.Add.Text(text, x, y);
        (note.LabelFontSize, note.LabelFontColor, note.LabelAlignment) = (Small, s_ink, Alignment.LowerCenter);
    }

    public static void AddMark(this Plot plot, double x, double upTo)
    {
        ScottPlot.Plottables.Scatter mark = plot.Add.ScatterLine(new Coordinates[] { new(x, 0), new(x, upTo) }, s_ink);
        mark.LineWidth = 1;
    }

    /// <summary>Bars from left to right, the first on top, each with its figure at its end.</summary>
    public static void AddBars(this Plot plot, IReadOnlyList<(string Name, double Value, string Label)> bars)
    {
        Bar[] drawn = [.. bars.Select((bar, i) => new Bar { Position = bars.Count - 1 - i, Value = bar.Value, FillColor = SeriesStyle.Of(0).Color, LineWidth = 0, Size = 0.7 })];
        ScottPlot.Plottables.BarPlot plotted = plot.Add.Bars(drawn);
        plotted.Horizontal = true;
        for (int i = 0; i < bars.Count; i++)
        {
            ScottPlot.Plottables.Text label = plot.Add.Text($" {bars[i].Label}", bars[i].Value, bars.Count - 1 - i);
            (label.LabelFontSize, label.LabelFontColor, label.LabelAlignment) = (Small, s_ink, Alignment.MiddleLeft);
        }

        plot.Axes.Left.TickGenerator = new NumericManual([.. bars.Select((_, i) => (double)(bars.Count - 1 - i))], [.. bars.Select(bar => bar.Name)]);
        double most = bars.Max(bar => bar.Value);
        plot.Axes.Bottom.TickGenerator = Steps(most);
        plot.Axes.SetLimits(0, most * 1.25, -0.6, bars.Count - 0.4);
        plot.Grid.YAxisStyle.IsVisible = false;
    }
}
