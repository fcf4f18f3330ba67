using System.Text.Json;

namespace Nubabel.Store.Tests;

// A vocabulary of the tests' own: the engine knows no word of the product.
public sealed record TallyOpened(string Name);
public sealed record TallyRaised(int By);
public sealed record TallyRenamed(string Name);
public sealed record TallyClosed;

public sealed record TallyRow(string Name, int Sum);

/// <summary>Documents by stream; raising a tally by 13 is the poison of these tests.</summary>
public sealed class TallyList : IDocument<TallyRow>
{
    public static string Name => "tallies";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["tally_opened", "tally_raised", "tally_renamed", "tally_closed"];

    public static Columns<TallyRow> Columns { get; } = new Columns<TallyRow>()
        .Add("name", r => r.Name)
        .Add("sum", r => r.Sum)
        .Index("Tallies of a tenant by name, largest first", "name", "sum desc");

    public static TallyRow? Evolve(TallyRow? row, Recorded e) => e.Data switch
    {
        TallyOpened opened => new TallyRow(opened.Name, 0),
        TallyRaised { By: 13 } => throw new InvalidOperationException("thirteen"),
        TallyRaised raised => row! with { Sum = row.Sum + raised.By },
        TallyRenamed renamed => row! with { Name = renamed.Name },
        TallyClosed => null,
        _ => row,
    };
}

public sealed record TrailRow(string Type, string Stream, string? Note);

/// <summary>A row for every event whatever its type, as an audit trail has it; renaming to "stop" is its poison.</summary>
public sealed class TallyTrail : IRows<TrailRow>
{
    public static string Name => "tally_trail";
    public static int Version => 2;
    public static IReadOnlyList<string>? Types => null;
    public static Columns<TrailRow> Columns { get; } = new Columns<TrailRow>().Add("stream", r => r.Stream).Index("Trail of one tally", "stream");

    public static IEnumerable<TrailRow> Project(Recorded e)
    {
        if (e.Data is TallyRenamed { Name: "stop" }) throw new InvalidOperationException("stop");
        yield return new TrailRow(e.Type, e.Stream, null);
        if (e.Data is TallyRaised raised) yield return new TrailRow(e.Type, e.Stream, $"by {raised.By}");
    }
}

public sealed record TotalRow(int Events, int Sum);

/// <summary>One document of the platform over all tenants.</summary>
public sealed class TallyTotals : IDocument<TotalRow>
{
    public static string Name => "tally_totals";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["tally_raised"];
    public static Columns<TotalRow> Columns { get; } = new();
    public static string? Key(Recorded e) => "all";

    public static TotalRow? Evolve(TotalRow? row, Recorded e) =>
        new((row?.Events ?? 0) + 1, (row?.Sum ?? 0) + ((TallyRaised)e.Data!).By);
}

public static class Tallies
{
    public static EventTypes Types { get; } = new(
        [
            new EventType("tally_opened", typeof(TallyOpened)),
            new EventType("tally_raised", typeof(TallyRaised), old =>
            {
                // The first shape called it "amount".
                old["by"] = old["amount"]!.DeepClone();
                return old;
            }),
            new EventType("tally_renamed", typeof(TallyRenamed)),
            new EventType("tally_closed", typeof(TallyClosed)),
        ],
        new JsonSerializerOptions(JsonSerializerDefaults.Web) { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true });

    public static ProjectionSet Projections() => new ProjectionSet(Types)
        .Documents<TallyList, TallyRow>()
        .Rows<TallyTrail, TrailRow>()
        .Documents<TallyTotals, TotalRow>(platform: true);
}
