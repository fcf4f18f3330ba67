using System.Reflection;
using System.Text.RegularExpressions;
using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Tidy.Tests;

/// <summary>Domain → nothing · Store → Npgsql · Projections → Domain, Store · Api → all. Between slices: ids and events only.</summary>
public sealed partial class DependencyTests
{
    [Fact]
    public void The_domain_references_nothing() => StyleTests.Clean(Foreign(Model.Domain));

    [Fact]
    public void The_store_references_npgsql_and_what_it_logs_through() =>
        StyleTests.Clean(Foreign(typeof(Recorded).Assembly, "Npgsql", "Microsoft.Extensions.Logging.Abstractions"));

    [Fact]
    public void The_projections_reference_domain_and_store() =>
        StyleTests.Clean(Foreign(typeof(Projections.StoredJson).Assembly, "Nubabel.Domain", "Nubabel.Store", "Npgsql"));

    [Theory]
    [InlineData("src/Nubabel.Domain/Nubabel.Domain.csproj", "")]
    [InlineData("src/Nubabel.Store/Nubabel.Store.csproj", "Npgsql")]
    [InlineData("src/Nubabel.Projections/Nubabel.Projections.csproj", "Nubabel.Domain Nubabel.Store")]
    public void A_project_names_what_it_may(string path, string allowed) =>
        Assert.Equal(allowed, string.Join(' ', References(Sources.All.Single(s => s.Path == path).Text).Order(StringComparer.Ordinal)));

    [Fact]
    public void A_foreign_reference_is_found()
    {
        Assert.NotEmpty(Foreign(typeof(DependencyTests).Assembly));
        Assert.NotEmpty(Foreign(typeof(Recorded).Assembly));
        Assert.Equal(["A", "B"], References("""<PackageReference Include="A" /><ProjectReference Include="../B/B.csproj" /> <!-- <PackageReference Include="C" /> -->"""));
    }

    [Fact]
    public void A_domain_slice_knows_only_ids_and_events_of_others() => StyleTests.Clean(Model.Domain.GetTypes().SelectMany(Intrusions));

    [Fact]
    public void A_domain_slice_takes_no_others_decision() => StyleTests.Clean(Sources.Under("Nubabel.Domain").SelectMany(s => Calls(s, Model.States, Model.Commands)));

    [Fact]
    public void An_api_slice_calls_no_others_endpoints() => StyleTests.Clean(Sources.Under("Nubabel.Api").SelectMany(EndpointCalls));

    [Fact]
    public void Another_slices_state_or_command_is_found()
    {
        Assert.Equal(["Nubabel.Domain.Devices: User", "Nubabel.Domain.Devices: RenameUser"],
            new[] { typeof(Domain.Users.User), typeof(List<Domain.Users.RenameUser>), typeof(Id<Domain.Users.User>), typeof(Domain.Users.UserRenamed), typeof(Domain.Devices.Device) }
                .SelectMany(t => Foreign(t, "Nubabel.Domain.Devices")).Select(t => $"Nubabel.Domain.Devices: {t.Name}"));
        Type[] states = [typeof(Domain.Users.User)], commands = [typeof(Domain.Users.RenameUser)];
        Assert.Single(Calls(new Source("src/Nubabel.Domain/Devices/Device.cs", "var c = new RenameUser(name);"), states, commands));
        Assert.Single(Calls(new Source("src/Nubabel.Domain/Devices/Device.cs", "User.Decide(state, c, at);"), states, commands));
        Assert.Empty(Calls(new Source("src/Nubabel.Domain/Devices/Device.cs", "Actor.User(id); Id<User> owner;"), states, commands));
        Assert.Empty(Calls(new Source("src/Nubabel.Domain/Users/User.cs", "User.Decide(state, new RenameUser(name), at);"), states, commands));
        Assert.Single(EndpointCalls(new Source("src/Nubabel.Api/Devices/DevicesApi.cs", "UsersApi.Rename(x);")));
        Assert.Empty(EndpointCalls(new Source("src/Nubabel.Api/Devices/DevicesApi.cs", "DevicesApi.Rename(x);")));
        Assert.Empty(EndpointCalls(new Source("src/Nubabel.Api/Commands/Verbs.cs", "OperatorsApi.Add(x);")));
        Assert.Empty(EndpointCalls(new Source("src/Nubabel.Api/Program.cs", "app.MapDevices();")));
    }

    [Fact]
    public void Each_read_table_is_named_in_one_file() => StyleTests.Clean(SharedTables(Sources.Product));

    [Fact]
    public void A_table_named_twice_is_found()
    {
        Source a = new("src/Nubabel.Projections/A.cs", "\"from read.devices_v1\""), b = new("src/Nubabel.Api/B.cs", "\"from read.devices_v2\""), c = new("src/Nubabel.Api/C.cs", "\"from read.users_v1\"");
        Assert.Single(SharedTables([a, b, c]));
        Assert.Empty(SharedTables([a, c]));
    }

    private static IEnumerable<string> Foreign(Assembly assembly, params string[] allowed) =>
        from reference in assembly.GetReferencedAssemblies()
        where !reference.Name!.StartsWith("System.", StringComparison.Ordinal) && !allowed.Contains(reference.Name)
        select $"{assembly.GetName().Name} references {reference.Name}";

    private static IEnumerable<string> References(string project) =>
        Reference().Matches(Comment().Replace(project, "")).Select(m => Path.GetFileNameWithoutExtension(m.Groups[2].Value.EndsWith(".csproj", StringComparison.Ordinal) ? m.Groups[2].Value : m.Groups[2].Value + ".x"));

    /// <summary>States and commands of other slices in a type's signatures. A state as the argument of an id is only its name.</summary>
    private static IEnumerable<string> Intrusions(Type type)
    {
        if (type.Namespace is null or "Nubabel.Domain" || !type.Namespace.StartsWith("Nubabel.Domain.", StringComparison.Ordinal)) return [];
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var used = type.GetFields(Declared).Select(f => f.FieldType)
            .Concat(type.GetMethods(Declared).SelectMany(m => m.GetParameters().Select(p => p.ParameterType).Append(m.ReturnType)))
            .Concat(type.GetConstructors(Declared).SelectMany(c => c.GetParameters().Select(p => p.ParameterType)))
            .Append(type.BaseType ?? type);
        return used.SelectMany(t => Foreign(t, type.Namespace)).Select(t => $"{type.FullName} uses {t.FullName}").Distinct();
    }

    private static IEnumerable<Type> Foreign(Type used, string slice)
    {
        if (used.HasElementType) return Foreign(used.GetElementType()!, slice);
        if (used.IsGenericType) return used.GetGenericTypeDefinition() == typeof(Id<>) ? [] : used.GetGenericArguments().SelectMany(a => Foreign(a, slice));
        return (Model.IsState(used) || Model.IsCommand(used)) && used.Namespace != slice ? [used] : [];
    }

    private static IEnumerable<string> Calls(Source source, IEnumerable<Type> states, IEnumerable<Type> commands)
    {
        var slice = source.Folder.Split('/')[^1];
        bool IsOthers(Type type) => !type.Namespace!.EndsWith("." + slice, StringComparison.Ordinal);
        return states.Where(IsOthers).Select(s => $@"\b{s.Name}\.(Decide|Evolve|Initial|Claims)\b")
            .Concat(commands.Where(IsOthers).Select(c => $@"\b{c.Name}\b"))
            .Where(pattern => Regex.IsMatch(source.Code, pattern)).Select(pattern => $"{source.Path} uses {pattern}");
    }

    private static IEnumerable<string> EndpointCalls(Source source)
    {
        // The operator's commands are no slice: they are another front to the same ones.
        if (source.Path.Split('/') is not ["src", "Nubabel.Api", var slice and not "Commands", _, ..]) return [];
        return Endpoints().Matches(source.Code).Where(m => m.Groups[1].Value != slice).Select(m => $"{source.Path}:{source.LineOf(m.Index)} calls {m.Value}");
    }

    private static IEnumerable<string> SharedTables(IEnumerable<Source> sources) =>
        from source in sources
        where !source.Path.StartsWith("src/Nubabel.Store/", StringComparison.Ordinal)
        from Match table in ReadTable().Matches(source.Text)
        group source.Path by table.Groups[1].Value into files
        where files.Distinct().Count() > 1
        select $"read.{files.Key} is named in {string.Join(", ", files.Distinct())}";

    [GeneratedRegex(@"<(PackageReference|ProjectReference)\s+Include=""([^""]+)""")]
    private static partial Regex Reference();

    [GeneratedRegex("<!--.*?-->", RegexOptions.Singleline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\b([A-Z]\w*)Api\.\w+")]
    private static partial Regex Endpoints();

    [GeneratedRegex(@"\bread\.([a-z_]+)_v\d+\b")]
    private static partial Regex ReadTable();
}
