using System.Collections.Concurrent;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Projections.Sessions;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// The sessions whose tokens may still look valid although they have ended. Every node keeps them from the live tail, so that a revocation counts
/// within a second everywhere; the list is as long as a token lives and no longer. Until it is loaded nobody's token is believed.
/// </summary>
public sealed class RevokedSessions(Node node) : ITailSubscriber
{
    /// <summary>The longest life of an access token, and then some for the clocks of nodes.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(20);

    private volatile ConcurrentDictionary<Guid, DateTimeOffset> ended = new();
    private volatile bool loaded;

    public IReadOnlyCollection<string> Aliases { get; } = ["session_revoked"];

    // A newer build may have written what this one cannot read, and the session has ended all the same.
    public bool NeedsData => false;

    public bool IsLoaded => loaded;

    public bool Contains(Id<Session> session) => ended.ContainsKey(session.Value);

    public async Task<long> Load(CancellationToken ct)
    {
        var now = node.Time.GetUtcNow();
        var (sessions, position) = await SessionList.RevokedSince(node.Everyones, now - Remembered, ct);
        // What was known stays: emptied first, an ended session would live for as long as the refill takes. It ages out like the rest.
        foreach (var session in sessions) ended[session] = now;
        return position;
    }

    // Not at the load: the read model may be behind, and what was revoked since then comes only now.
    public void CaughtUp() => loaded = true;

    public void OnEvent(Recorded e)
    {
        ended[e.StreamGuid] = node.Time.GetUtcNow();
        // Whoever adds tidies up, a bounded part at a time.
        if (ended.Count % 256 == 0) Forget();
    }

    private void Forget()
    {
        var before = node.Time.GetUtcNow() - Remembered;
        foreach (var (session, at) in ended)
            if (at < before) ended.TryRemove(session, out _);
    }
}
