using System.Reflection;
using Nubabel.Domain;
using Nubabel.Projections.Audit;
using Nubabel.Projections.DataExports;

namespace Nubabel.Projections.Tests;

/// <summary>What a person is handed over follows from lists; these hold them to the catalogue, so that a new slice cannot be forgotten.</summary>
public sealed class HeldDataTests
{
    private static IEnumerable<string> Kinds => typeof(EventCatalog).Assembly.GetTypes()
        .Where(t => t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IAggregate<>)))
        .Select(t => (string)t.GetProperty("Kind", BindingFlags.Public | BindingFlags.Static)!.GetValue(null)!);

    [Fact]
    public void Every_kind_of_stream_is_said_to_belong_to_who_began_it_or_not() =>
        Assert.Equal(Kinds.Order(StringComparer.Ordinal), HeldData.Own.Keys.Concat(HeldData.Others.Keys).Order(StringComparer.Ordinal));

    [Fact]
    public void Every_action_that_begins_such_a_stream_is_one_of_its_events()
    {
        foreach (var (kind, actions) in HeldData.Own)
        {
            var stream = $"{kind}-{Guid.Empty}";
            var known = EventCatalog.All.Select(e => AuditTrail.ActionOf(e.Alias, stream)).ToHashSet();
            Assert.All(actions, action => Assert.Contains(action, known));
        }
    }
}
