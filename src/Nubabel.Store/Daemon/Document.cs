using System.Text.Json;

namespace Nubabel.Store;

/// <summary>
/// One document of a page: the row that stands in the table, the events of the page that belong to it, and what the fold makes of them. The first event that
/// fails parks itself and all behind it; what came before it is written.
/// </summary>
/// <param name="evolve">The model's fold.</param>
/// <param name="values">The declared columns of a row.</param>
internal sealed class Document<TRow>(string tenant, string key, Func<TRow?, Recorded, TRow?> evolve, Func<object, object?[]> values, JsonSerializerOptions json) where TRow : class
{
    private readonly List<PageEvent> events = [];
    private string? stored;
    private long storedVersion;
    private long storedPosition;

    public string Tenant => tenant;
    public string Key => key;
    public IReadOnlyList<PageEvent> Events => events;

    /// <summary>There may be a row of it in the table.</summary>
    public bool Exists { get; private set; }

    /// <summary>Its key was parked before this page.</summary>
    public bool IsParked { get; set; }

    /// <summary>How many of its events are in the row, the first ones.</summary>
    public int Folded { get; private set; }

    public TRow? Row { get; private set; }
    public bool IsTouched { get; private set; }
    public long Version { get; private set; }
    public long Position { get; private set; }

    /// <summary>What is written of <see cref="Row"/>: made within the fold, because a converter or a column's function may throw as well.</summary>
    public string Json { get; private set; } = "";

    public object?[] Values { get; private set; } = [];

    /// <summary>Events that wait, with the reason; not empty from the event on that failed.</summary>
    public List<(long Position, string Error)> Parked { get; } = [];

    public void Add(PageEvent e) => events.Add(e);

    public void Load(long version, long position, string row) => (Exists, storedVersion, storedPosition, stored) = (true, version, position, row);

    /// <summary>Folds all of its events, up to the first that fails.</summary>
    public void Fold()
    {
        Fold(events.Count, null);
        if (Serialized() is null) return;
        // What fails only when the row is written out: by which event did it become so?
        for (var count = 1; count <= events.Count; count++)
        {
            Fold(count, null);
            if (Serialized() is not { } error) continue;
            Fold(count - 1, error);
            // That much could be written a moment ago.
            Serialized();
            return;
        }
    }

    /// <summary>Folds the first events only, as if the next one were poison: PostgreSQL has refused what it makes. Without an error, those behind are left out.</summary>
    public void Take(int count, string? error)
    {
        // It may have been written by an earlier try that stands.
        Exists = true;
        Fold(count, error);
        Serialized();
    }

    private void Fold(int count, string? refused)
    {
        (Row, Version, Position, IsTouched, Folded) = (null, storedVersion, storedPosition, false, 0);
        Parked.Clear();
        var unread = stored;
        var error = IsParked ? Parking.WaitsBehind : null;
        for (var i = 0; i < events.Count; i++)
        {
            var at = events[i].Event.Position;
            if (error is not null) Parked.Add((at, Parking.WaitsBehind));
            else if (i < count && (at <= storedPosition || (error = Step(events[i], ref unread)) is null)) Folded++;
            else if (i >= count && refused is null) return;
            else if (i >= count) Parked.Add((at, error = refused!));
        }
    }

    /// <summary>Folds one event; the error when it is poison, and the document stays as it was before it.</summary>
    private string? Step(PageEvent e, ref string? unread)
    {
        // The model is foreign code: whatever it throws parks this key and nothing else.
#pragma warning disable CA1031
        try
        {
            if (e.Unreadable is not null) throw e.Unreadable;
            if (unread is not null) Row = JsonSerializer.Deserialize<TRow>(unread, json);
            unread = null;
            Row = evolve(Row, e.Event);
            (Version, Position, IsTouched) = (e.Event.Version, e.Event.Position, true);
            return null;
        }
        catch (Exception poison)
        {
            var error = $"{poison.GetType().Name}: {poison.Message}";
            Parked.Add((e.Event.Position, error));
            return error;
        }
#pragma warning restore CA1031
    }

    /// <summary>Makes what is written of the row; the error when that cannot be made.</summary>
    private string? Serialized()
    {
        if (!IsTouched || Row is null) return null;
#pragma warning disable CA1031
        try
        {
            (Json, Values) = (JsonSerializer.Serialize(Row, json), values(Row));
            return null;
        }
        catch (Exception poison)
        {
            return $"{poison.GetType().Name}: {poison.Message}";
        }
#pragma warning restore CA1031
    }
}
