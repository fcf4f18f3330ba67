using Nubabel.Domain;
using Nubabel.Domain.Attempts;
using Nubabel.Store;

namespace Nubabel.Api.Attempts;

/// <summary>One way of being turned away: at which operation, and by which refusal or for want of which permission.</summary>
internal readonly record struct Refusal(string Operation, string Reason, bool IsDenied)
{
    public Command<Attempt> Told(long count, string? named) =>
        IsDenied ? new RecordDenied(Operation, Reason, count, named) : new RecordRefused(Operation, Reason, count, named);
}

/// <summary>
/// What one actor was refused on this node within a minute. The first of each kind is told at once, the rest is counted. All of it is under one lock,
/// which is held for no longer than counting takes.
/// </summary>
internal sealed class AttemptMinute(DateTimeOffset ends)
{
    /// <summary>Different refusals that are told apart; what comes beyond them is one number.</summary>
    public const int MostDifferent = 20;

    private readonly Lock entered = new();
    private readonly Dictionary<Refusal, long> waiting = [];
    private long overflow;
    private Origin? last;
    private bool isOver;

    public DateTimeOffset Ends => ends;

    /// <summary>Takes one in; null when this minute is over and another has to be begun.</summary>
    /// <param name="origin">The request's. The minute's sum stands under that of the last one.</param>
    /// <returns>Whether it is the first of its kind, which is to be told at once and is not counted here.</returns>
    public bool? Take(Refusal refusal, Origin origin)
    {
        lock (entered)
        {
            if (isOver) return null;
            if (waiting.TryGetValue(refusal, out var count)) waiting[refusal] = count + 1;
            else if (waiting.Count < MostDifferent)
            {
                waiting[refusal] = 0;
                return true;
            }
            else overflow++;
            last = origin;
            return false;
        }
    }

    /// <summary>Ends the minute and takes out what waits to be told; null where nothing does.</summary>
    public Counted? End()
    {
        lock (entered)
        {
            isOver = true;
            return last is null ? null : new Counted(last, [.. waiting.Where(w => w.Value > 0).Select(w => (w.Key, w.Value))], overflow);
        }
    }

    /// <summary>Takes in what could not be told. False when this minute is over.</summary>
    public bool TryTakeBack(Counted counted)
    {
        lock (entered)
        {
            if (isOver) return false;
            foreach (var (refusal, count) in counted.Refusals)
            {
                if (waiting.ContainsKey(refusal) || waiting.Count < MostDifferent) waiting[refusal] = waiting.GetValueOrDefault(refusal) + count;
                else overflow += count;
            }
            overflow += counted.Overflow;
            last ??= counted.Origin;
            return true;
        }
    }
}

/// <summary>What waits to be told of an actor.</summary>
internal sealed record Counted(Origin Origin, IReadOnlyList<(Refusal Refusal, long Count)> Refusals, long Overflow);
