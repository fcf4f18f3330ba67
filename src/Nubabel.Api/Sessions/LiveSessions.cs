using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Projections;
using Nubabel.Projections.Sessions;
using Nubabel.Store;

namespace Nubabel.Api.Sessions;

/// <summary>The sessions of somebody that live now, for ending them.</summary>
public sealed class LiveSessions(Node node)
{
    /// <summary>How many sessions one commit ends; who has more has them ended in several.</summary>
    private const int MostAtOnce = 2_000;

    /// <summary>How often it is looked again for sessions that were opened while others were ended.</summary>
    private const int MostRounds = 10;

    /// <summary>
    /// The holder's live sessions. The list may lag behind a sign-in of a moment ago, and that one above all must not be left out; nor may a revocation
    /// wait for the list, which somebody's open transaction can hold back. So what the list has not read yet is looked up in the log, and first: what it
    /// reads meanwhile is seen twice, not missed. Which of them still live, their streams say.
    /// </summary>
    public async Task<IReadOnlyList<Id<Session>>> Of(string tenant, Actor holder, Id<Session>? except, CancellationToken ct)
    {
        var (db, journal) = (node.Reader(tenant), node.Journal(tenant, new Origin("system:sessions")));
        var all = new HashSet<Id<Session>>(await SessionList.OpenedLately(db, holder, ct));
        IReadOnlyList<string>? after = null;
        while (true)
        {
            var rows = await SessionList.LiveOf(db, holder, node.Time.GetUtcNow(), after, Paging.Most, ct);
            all.UnionWith(rows.Select(row => row.Id));
            if (rows.Count <= Paging.Most || all.Count > MostAtOnce) break;
            after = SessionList.Place(rows[^1]);
        }
        if (except is { } kept) all.Remove(kept);
        return [.. (await journal.Load<Session>([.. all.Select(id => (StreamName<Session>)id)], ct)).Where(session => session.State.IsLive(journal.Now())).Select(session => session.Id)];
    }

    /// <summary>What ends these sessions, as part of a commit.</summary>
    public static IReadOnlyList<Step<Session>> Ending(IEnumerable<Id<Session>> sessions, SessionEnd reason) => [.. sessions.Select(id => new Step<Session>(id, new RevokeSession(reason)))];

    /// <summary>Ends what was opened while a commit ended the others, until there is nothing left.</summary>
    /// <param name="journal">One that takes no part in the request's idempotency: this may be repeated.</param>
    public async Task EndRest(Journal journal, Actor holder, Id<Session>? except, SessionEnd reason, CancellationToken ct)
    {
        for (var round = 0; round < MostRounds; round++)
        {
            var left = await Of(journal.Tenant, holder, except, ct);
            if (left.Count == 0) return;
            await journal.Commit(Ending(left, reason), ct);
        }
    }
}
