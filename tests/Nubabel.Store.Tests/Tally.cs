using System.Text.Json;
using Nubabel.Store;

namespace Nubabel.Store.Tests;

/// <summary>Events of a vocabulary of the engine's own tests.</summary>
public sealed record Counted(int By);
public sealed record Labelled(string Text);

/// <summary>The engine's own tests speak of tallies, so that they need nothing of the product.</summary>
public static class Tally
{
    public static EventTypes Types { get; } = new([new EventType("tally_counted", typeof(Counted)), new EventType("tally_labelled", typeof(Labelled))], JsonSerializerOptions.Web);

    public static string Stream() => $"tally-{Guid.CreateVersion7()}";
    public static string Tenant() => Guid.CreateVersion7().ToString();

    public static DateTimeOffset Now()
    {
        var now = TimeProvider.System.GetUtcNow();
        return new DateTimeOffset(now.Ticks - now.Ticks % TimeSpan.TicksPerMicrosecond, TimeSpan.Zero);
    }

    public static StreamAppend On(string stream, long expected, params object[] events) => new(stream, "tally", expected, events, [], []);

    public static Task<Appended> Commit(this Database database, string tenant, params StreamAppend[] appends) => database.Commit(tenant, null, appends);

    public static Task<Appended> Commit(this Database database, string tenant, IdempotencyRecord? once, params StreamAppend[] appends) =>
        Append.Commit(database.Api, Types, new Envelope(tenant, "system:test", "request", null, null, Now()), appends, once, CancellationToken.None);

    public static async Task<IReadOnlyList<Recorded>> Read(this Database database, string tenant, string stream) =>
        (await ReadStream.Read(database, Types, tenant, [stream], _ => Until.End, CancellationToken.None))[stream];
}
