using System.Text;
using System.Text.Json.Nodes;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Contracts;

/// <summary>Whatever was once stored is read by today's code.</summary>
[Trait("Category", "Contract")]
public sealed class GoldenEventTests
{
    public static TheoryData<GoldenEvent> Files() => [.. GoldenEvents.All];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_event_ever_written_is_read_as_todays_type(GoldenEvent golden)
    {
        var data = GoldenEvents.Types.Read(golden.Alias, Encoding.UTF8.GetBytes(golden.Json), golden.Shape);
        Assert.NotNull(data);
        Assert.Equal(EventCatalog.All.Single(e => e.Alias == golden.Alias).Type, data.GetType());

        var written = GoldenEvents.Types.Write(data);
        var again = GoldenEvents.Types.Read(golden.Alias, Encoding.UTF8.GetBytes(written), int.MaxValue);
        Assert.Equal(data, again);
        // Of today's shape nothing may be lost or added; an older shape was changed by its upcasters.
        if (golden.Shape == GoldenEvents.Types.Find(golden.Alias)!.Shape)
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(golden.Json), JsonNode.Parse(written)), $"{golden} was read and written back as {written}");
    }

    /// <summary>jsonb keeps no order of members.</summary>
    [Theory]
    [MemberData(nameof(Files))]
    public void The_order_of_members_does_not_matter(GoldenEvent golden)
    {
        var reversed = Reversed(JsonNode.Parse(golden.Json)!).ToJsonString();
        Assert.Equal(
            GoldenEvents.Types.Read(golden.Alias, Encoding.UTF8.GetBytes(golden.Json), golden.Shape),
            GoldenEvents.Types.Read(golden.Alias, Encoding.UTF8.GetBytes(reversed), golden.Shape));
    }

    [Fact]
    public void Every_shape_of_every_event_has_a_file()
    {
        var wanted = EventCatalog.All.SelectMany(e => Enumerable.Range(1, e.Upcasts.Length + 1).Select(shape => (e.Alias, shape)));
        var there = GoldenEvents.All.Where(g => g.Variant is null).Select(g => (g.Alias, g.Shape));
        Assert.Equal(wanted.Order(), there.Order());
    }

    [Fact]
    public void A_variant_belongs_to_an_event() =>
        Assert.All(GoldenEvents.All, g => Assert.Contains(EventCatalog.All, e => e.Alias == g.Alias && g.Shape <= e.Upcasts.Length + 1));

    private static JsonNode Reversed(JsonNode node) => node is JsonObject members
        ? new JsonObject(members.Reverse().Select(m => KeyValuePair.Create(m.Key, m.Value is null ? null : Reversed(m.Value))))
        : node.DeepClone();
}
