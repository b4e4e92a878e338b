using System.Reflection;
using System.Runtime.InteropServices;
using APlusP.Core.Bindings;

namespace APlusP.Tests.Architecture;

/// <summary>The arrows of the project point at pure code: Cli -> Node, Registry, Survey, Lab -> Configuration, Linux -> Core, and Lab -> Survey, whose traffic models it plays.</summary>
public class LayerTests
{
    static readonly Dictionary<string, string[]> MayUse = new()
    {
        ["APlusP.Core"] = [],
        ["APlusP.Configuration"] = ["APlusP.Core"],
        ["APlusP.Http"] = ["APlusP.Core"],
        ["APlusP.Household"] = ["APlusP.Node", "APlusP.Http", "APlusP.Core"],
        ["APlusP.Linux"] = ["APlusP.Core"],
        ["APlusP.Lab"] = ["APlusP.Survey", "APlusP.Linux", "APlusP.Core"],
        ["APlusP.Node"] = ["APlusP.Configuration", "APlusP.Http", "APlusP.Linux", "APlusP.Core"],
        ["APlusP.Registry"] = ["APlusP.Configuration", "APlusP.Http", "APlusP.Core"],
        ["APlusP.Survey"] = ["APlusP.Configuration", "APlusP.Http", "APlusP.Linux", "APlusP.Core"],
        ["aplusp"] = ["APlusP.Household", "APlusP.Node", "APlusP.Registry", "APlusP.Survey", "APlusP.Lab", "APlusP.Configuration", "APlusP.Http", "APlusP.Linux", "APlusP.Core"],
    };

    public static TheoryData<string> Assemblies => [.. MayUse.Keys];

    static Assembly Load(string name) => Assembly.Load(new AssemblyName(name));

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void A_layer_uses_only_the_layers_below_it(string name)
    {
        IEnumerable<string> used = Load(name).GetReferencedAssemblies().Select(reference => reference.Name!).Where(IsOurs);
        Assert.Empty(used.Except(MayUse[name]));
    }

    [Fact]
    public void Every_assembly_of_ours_has_its_place_in_the_layers()
    {
        IEnumerable<string> built = Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll").Select(file => Path.GetFileNameWithoutExtension(file)!);
        Assert.Equal(MayUse.Keys.Order(StringComparer.Ordinal), built.Where(name => IsOurs(name) && name != "APlusP.Tests").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Core_uses_the_base_class_library_and_nothing_else()
    {
        string runtime = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        string[] foreign = [.. typeof(BindingTable).Assembly.GetReferencedAssemblies().Select(reference => reference.Name!)
            .Where(name => !File.Exists(Path.Combine(runtime, $"{name}.dll")))];
        Assert.Empty(foreign);
    }

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void Native_code_is_called_from_Linux_alone(string name)
    {
        // A LibraryImport leaves a DllImport behind, in the method itself or in a function inside it.
        string[] native = [.. Load(name).GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly))
            .Where(method => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl) || method.GetCustomAttribute<DllImportAttribute>() is not null)
            .Select(method => $"{method.DeclaringType}.{method.Name}")];
        if (name == "APlusP.Linux") Assert.NotEmpty(native);
        else Assert.Empty(native);
    }

    [Fact]
    public void Core_reads_no_clock_and_writes_no_console()
    {
        string[] forbidden = ["System.Console", "System.Diagnostics.Process", "System.Net.Sockets", "Microsoft.Extensions.Logging.Abstractions"];
        Assert.Empty(typeof(BindingTable).Assembly.GetReferencedAssemblies().Select(reference => reference.Name!).Intersect(forbidden));
    }

    static bool IsOurs(string name) => name.StartsWith("APlusP.", StringComparison.Ordinal) || name == "aplusp";
}
