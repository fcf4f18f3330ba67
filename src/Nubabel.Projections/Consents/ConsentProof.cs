using System.Runtime.CompilerServices;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Consents;

/// <summary>One decision of a person, with the words that it was taken on.</summary>
/// <param name="State"><c>given</c> or <c>withdrawn</c>.</param>
/// <param name="Title">What was agreed to, word by word; null where something was withdrawn.</param>
/// <param name="TextHash">As the decision itself holds it.</param>
public sealed record ConsentEntry(
    long Version, DateTimeOffset At, string? Actor, string UserId, PurposeKey Purpose, ConsentState State, int? TextVersion, string? TextHash, Phrase? Title, Prose? Text, ConsentChannel? Channel, string? RequestId);

/// <summary>The proof of what somebody agreed to (Art. 7(1)): who, when, to which words, how.</summary>
public static class ConsentProof
{
    /// <summary>The stream of a person's decisions.</summary>
    public static StreamName<Consent> StreamOf(Id<User> user) => new Id<Consent>(user.Value);

    /// <summary>The decisions on one purpose, oldest first.</summary>
    public static IEnumerable<ConsentEntry> Of(IReadOnlyList<Recorded> decisions, PurposeKey purpose, Purpose texts) =>
        decisions.Select(e => Entry(e, key => key == purpose ? texts : null)).OfType<ConsentEntry>().Where(entry => entry.Purpose == purpose);

    /// <summary>All decisions of a stream, as of a position of the log.</summary>
    /// <param name="texts">The purposes that were looked up already; it gains those that are missing.</param>
    public static async IAsyncEnumerable<ConsentEntry> Walk(Journal journal, string stream, long upTo, Dictionary<string, Purpose> texts, [EnumeratorCancellation] CancellationToken ct)
    {
        await foreach (var e in journal.Walk(stream, new Until(Position: upTo), ct))
        {
            var key = (e.Data as ConsentGiven)?.Purpose.Value;
            if (key is not null && !texts.ContainsKey(key)) texts[key] = (await journal.Load(Streams.Named<Purpose>(key), ct)).State;
            if (Entry(e, purpose => texts.GetValueOrDefault(purpose.Value)) is { } entry) yield return entry;
        }
    }

    private static ConsentEntry? Entry(Recorded e, Func<PurposeKey, Purpose?> texts)
    {
        switch (e.Data)
        {
            case ConsentGiven g:
                var words = texts(g.Purpose)?.Texts.FirstOrDefault(t => t.Version == g.TextVersion);
                return new ConsentEntry(e.Version, e.At, e.Actor, UserOf(e), g.Purpose, ConsentState.Given, g.TextVersion, g.TextHash, words?.Title, words?.Text, g.Channel, e.CorrelationId);
            case ConsentWithdrawn w:
                return new ConsentEntry(e.Version, e.At, e.Actor, UserOf(e), w.Purpose, ConsentState.Withdrawn, null, null, null, null, w.Channel, e.CorrelationId);
            default:
                return null;
        }
    }

    private static string UserOf(Recorded e) => e.StreamGuid.ToString("D");
}
