using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Erasures;

/// <summary>
/// What in an organization's log is about one person. It is looked for in the log itself, event by event, so that nothing hangs on how far a read model has read.
/// </summary>
/// <param name="Account">The name of the account's stream, which is the person's own subject.</param>
/// <param name="Invitations">Ended ones to the person's address, and the one that the account came of: the address is sealed in them under keys of their own.</param>
/// <param name="Holds">Legal holds on the person that were lifted.</param>
/// <param name="Guards">Streams of failed sign-ins with the person's address that have a key of their own.</param>
/// <param name="Others">Exports, and failed sign-ins that name the account.</param>
public sealed record Belongings(
    string Account, IReadOnlyList<Id<Session>> Sessions, IReadOnlyList<Id<Device>> Devices, IReadOnlyList<Id<Job>> Jobs, IReadOnlyList<string> Invitations, IReadOnlyList<string> Holds,
    IReadOnlyList<string> Guards, IReadOnlyList<string> Others)
{
    /// <summary>Streams that one statement looks at.</summary>
    private const int StreamsAtOnce = 10_000;

    /// <summary>Whose keys open what is the person's.</summary>
    public IReadOnlyList<string> Subjects => [Account, .. Invitations, .. Holds, .. Guards];

    /// <summary>Every stream that is the person's.</summary>
    public IReadOnlyList<string> Everything =>
        [Account, .. Sessions.Select(Streams.Of), .. Devices.Select(Streams.Of), .. Jobs.Select(Streams.Of), .. Invitations, .. Holds, .. Guards, .. Others, $"attempt-{Account}"];

    /// <param name="emailKey">The keyed hash of the account's address; empty where the account is not in this log.</param>
    public static async Task<Belongings> Of(PlatformReader db, string tenant, Id<User> person, string emailKey, IReadOnlyList<string> holds, IReadOnlyList<string> guards, CancellationToken ct)
    {
        var (account, id, actor) = (Streams.Of(person), person.ToString(), Actor.User(person.Value).ToString());
        var sessions = await Begun("session", Sql.Of($"e.type = 'session_opened' and e.data ->> 'holder' = {actor}"));
        var devices = await Begun("device", Sql.Of($"e.type = 'device_registered' and e.data ->> 'owner' = {id}"));
        var jobs = await Begun("job", Sql.Of($"e.type = 'job_started' and e.data ->> 'starter' = {actor}"));
        var exports = await Begun("data-export", Sql.Of($"e.type in ('data_export_made', 'data_export_read') and e.data ->> 'owner' = {id}"));
        var failures = await Found("sign-in", Sql.Of($"e.type = 'sign_in_failed' and e.data ->> 'account' = {account}"), Sql.None);
        var invited = await Found("invitation", Sql.Of($"""
            (e.type = 'invitation_issued' and e.data ->> 'emailKey' = {emailKey}) or e.type in ('invitation_withdrawn', 'invitation_expired') or (e.type = 'invitation_accepted' and e.data ->> 'user' = {id})
            """), Sql.None);
        // One that is open invites somebody who comes anew, and one that another account came of is that account's.
        var own = invited.Where(f => f.Type == "invitation_issued").Select(f => f.Stream).ToHashSet(StringComparer.Ordinal);
        var invitations = invited.Where(f => f.Type == "invitation_accepted" || f.Type != "invitation_issued" && own.Contains(f.Stream)).Select(f => f.Stream).Distinct();
        var keyed = guards.Count == 0 ? [] : (await db.Query([Sql.Of($"select subject from nubabel.subject_keys where tenant_id = {tenant} and subject = any ({guards.ToArray()})")], row => row.GetString(0), ct))[0];
        return new Belongings(account,
            [.. sessions.Select(f => Id<Session>.Parse(f.Stream.AsSpan("session-".Length), null))],
            [.. devices.Select(f => Id<Device>.Parse(f.Stream.AsSpan("device-".Length), null))],
            [.. jobs.Select(f => Id<Job>.Parse(f.Stream.AsSpan("job-".Length), null))],
            [.. invitations], holds, keyed,
            [.. failures.Concat(exports).Select(f => f.Stream).Distinct()]);

        Task<List<(string Stream, string Type)>> Begun(string kind, Sql mine) => Found(kind, mine, Sql.Of($"and m.version = 1"));

        Task<List<(string Stream, string Type)>> Found(string kind, Sql mine, Sql which) => Belongings.Found(db, tenant, kind, mine, which, ct);
    }

    // Some streams at a time, so that no statement takes long, however many there are. The bounds hold in every collation: what follows a kind is hexadecimal.
    private static async Task<List<(string Stream, string Type)>> Found(PlatformReader db, string tenant, string kind, Sql mine, Sql which, CancellationToken ct)
    {
        var found = new List<(string Stream, string Type)>();
        for (string? after = ""; after is not null;)
        {
            var page = (await db.Query([Sql.Of($"""
                with p as materialized (
                  select id from events.mt_streams where tenant_id = {tenant} and id >= {kind + "-0"} and id < {kind + "-g"} and id > {after} order by id limit {StreamsAtOnce})
                select e.stream_id, e.type from p, lateral (
                  select * from events.mt_events m where m.tenant_id = {tenant} and m.stream_id = p.id {which} offset 0) e where {mine}
                union all select max(id), '' from p having count(*) = {StreamsAtOnce}
                """)], row => (Stream: row.GetString(0), Type: row.GetString(1)), ct))[0];
            after = page.Where(f => f.Type.Length == 0).Select(f => f.Stream).SingleOrDefault();
            found.AddRange(page.Where(f => f.Type.Length > 0));
        }
        return found;
    }
}
