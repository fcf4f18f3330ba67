using System.Text.RegularExpressions;
using Nubabel.Domain;

namespace Nubabel.Tidy.Tests;

/// <summary>The indexes of the domain are complete.</summary>
public sealed partial class CatalogTests
{
    [Fact]
    public void Every_event_is_in_the_catalogue_once() =>
        Assert.Equal(Model.Events.Select(t => t.Name).Order(), EventCatalog.All.Select(e => e.Type.Name).Order());

    [Fact]
    public void Aliases_are_unique() => Assert.Equal(EventCatalog.All.Count, EventCatalog.All.Select(e => e.Alias).Distinct().Count());

    [Fact]
    public void An_alias_is_the_kind_and_what_happened_in_snake_case() => StyleTests.Clean(EventCatalog.All.SelectMany(e => Alias(e.Alias, Model.KindOf(Model.AggregateOf(e.Type)))));

    [Theory]
    [InlineData("device_registered", "device", 0)]
    [InlineData("signing_key_rotated", "signing-key", 0)]
    [InlineData("registered", "device", 1)]
    [InlineData("devices_registered", "device", 1)]
    [InlineData("DeviceRegistered", "device", 1)]
    [InlineData("device_", "device", 1)]
    public void A_bad_alias_is_found(string alias, string kind, int found) => Assert.Equal(found, Alias(alias, kind).Count());

    [Fact]
    public void Kinds_are_unique_and_in_kebab_case()
    {
        var kinds = Model.States.Select(Model.KindOf).ToArray();
        Assert.Equal(kinds.Length, kinds.Distinct().Count());
        Assert.All(kinds, kind => Assert.Matches("^[a-z]+(-[a-z]+)*$", kind));
    }

    [Fact]
    public void Every_command_reaches_a_decision() =>
        StyleTests.Clean(from command in Model.Commands
                         let state = Model.AggregateOf(command)
                         where !Decides(FileOf(state).Code, command.Name)
                         select $"{command.Name} has no case in {state.Name}.Decide");

    [Fact]
    public void Every_event_reaches_a_fold() =>
        StyleTests.Clean(from e in Model.Events
                         let state = Model.AggregateOf(e)
                         let code = FileOf(state).Code
                         // Also a fact that changes no state, so that leaving it out is a decision.
                         where !Folds(code, e.Name)
                         select $"{e.Name} has no case in {state.Name}.Evolve");

    [Fact]
    public void Every_command_has_a_spec() =>
        StyleTests.Clean(from command in Model.Commands
                         where !Sources.CSharp.Any(s => s.Path.EndsWith($"/{Model.AggregateOf(command).Name}Specs.cs", StringComparison.Ordinal)
                             && Regex.IsMatch(s.Code, $@"\b{command.Name}\b"))
                         select $"{command.Name} has no spec");

    /// <summary>A read model that is written and not registered would never be filled.</summary>
    [Fact]
    public void Every_read_model_is_in_the_index()
    {
        // No index, no daemon: nothing is filled at all yet.
        if (Sources.Under("Nubabel.Projections").SingleOrDefault(s => s.Path.EndsWith("/ReadModels.cs", StringComparison.Ordinal)) is not { } index) return;
        StyleTests.Clean(from model in Model.ReadModels where !IsRegistered(index.Code, model.Name) select $"{model.Name} is not in {index.Path}");
    }

    [Fact]
    public void A_read_model_that_is_not_registered_is_found()
    {
        Assert.True(IsRegistered("new ProjectionSet().Documents<DeviceList, DeviceRow>().Rows<AuditTrail, AuditRow>()", "AuditTrail"));
        Assert.False(IsRegistered("new ProjectionSet().Documents<DeviceList, DeviceRow>()", "DeviceRow"));
        Assert.False(IsRegistered("new ProjectionSet()", "DeviceList"));
        Assert.NotEmpty(Model.ReadModels);
    }

    [Fact]
    public void A_command_without_a_case_is_found()
    {
        const string Code = "static X Decide(S state, C command) => command switch { RenameDevice c => state.Rename(c), DeleteDevice => [], _ => throw x, }; void RevokeDevice() { }";
        Assert.True(Decides(Code, "RenameDevice"));
        Assert.True(Decides(Code, "DeleteDevice"));
        Assert.False(Decides(Code, "RevokeDevice"));
        Assert.False(Decides(Code, "Rename"));
        Assert.False(Folds("static S Evolve(S s, E e) => e switch { DeviceRenamed r => s, };", "DeviceRevoked"));
    }

    private static bool IsRegistered(string code, string model) => Regex.IsMatch(code, $@"<\s*{model}\b");

    private static Source FileOf(Type state) => Sources.Under("Nubabel.Domain").Single(s => s.Path.EndsWith($"/{state.Name}.cs", StringComparison.Ordinal));

    private static bool Decides(string code, string command) => HasCase(code, "Decide", command);
    private static bool Folds(string code, string e) => HasCase(code, "Evolve", e);

    private static bool HasCase(string code, string function, string type)
    {
        var body = Regex.Match(code, $@"\b{function}\s*\(.*?\}};", RegexOptions.Singleline).Value;
        return Regex.IsMatch(body, $@"(?<![.\w]){type}\b[^;{{}},]*?=>");
    }

    private static IEnumerable<string> Alias(string alias, string kind)
    {
        if (!SnakeCase().IsMatch(alias) || !alias.StartsWith(kind.Replace('-', '_') + "_", StringComparison.Ordinal))
            yield return $"{alias} is not {kind}_ and what happened, in snake case";
    }

    [GeneratedRegex("^[a-z]+(_[a-z]+)+$")]
    private static partial Regex SnakeCase();
}
