using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections.Tests;

/// <summary>Events as they stand in the log, for folds that see no database.</summary>
internal static class Given
{
    public static DateTimeOffset Noon { get; } = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    /// <summary>A stream's history, an event a minute from noon on.</summary>
    public static IReadOnlyList<Recorded> Stream<T>(Id<T> id, params Event<T>[] events) where T : IAggregate<T> =>
        [.. events.Select((e, i) => Event(Streams.Of(id), e, i + 1))];

    public static Recorded Event(string stream, object data, int version = 1, string? headers = null) => new()
    {
        Position = 100 + version,
        Tenant = "0198aaaa-0000-7000-8000-000000000001",
        Stream = stream,
        Version = version,
        Type = Events.Types.Of(data).Alias,
        Data = data,
        At = Noon.AddMinutes(version - 1),
        Id = Guid.Parse("0198aaaa-0000-7000-8000-0000000000ee"),
        Actor = "user:0198aaaa-0000-7000-8000-000000000002",
        CorrelationId = "request-1",
        Headers = headers,
    };

    /// <summary>The row that a read model makes of these events.</summary>
    public static TRow? Fold<TRow>(Func<TRow?, Recorded, TRow?> evolve, IEnumerable<Recorded> events) where TRow : class => events.Aggregate((TRow?)null, evolve);
}
