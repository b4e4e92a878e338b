using System.CommandLine;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace APlusP.Cli.Verbs;

/// <summary>How a daemon's log looks: lines on standard error, for people or for machines.</summary>
static class LogOutput
{
    public static Option<string> FormatOption()
    {
        var format = new Option<string>("--log-format") { Description = "How log lines look: text, or json for machines.", DefaultValueFactory = _ => "text" };
        format.AcceptOnlyFromAmong("text", "json");
        return format;
    }

    public static void Configure(ILoggingBuilder builder, bool json)
    {
        builder.AddConsole(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
        if (json) builder.AddJsonConsole(options => options.UseUtcTimestamp = true);
        else builder.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            options.UseUtcTimestamp = true;
            options.ColorBehavior = LoggerColorBehavior.Disabled;
        });
    }
}
