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
    /// <summary>Whose keys open what is the person's.</summary>
    public IReadOnlyList<string> Subjects => [Account, .. Invitations, .. Holds, .. Guards];

    /// <summary>Every stream that is the person's.</summary>
    public IReadOnlyList<string> Everything =>
        [Account, .. Sessions.Select(Streams.Of), .. Devices.Select(Streams.Of), .. Jobs.Select(Streams.Of), .. Invitations, .. Holds, .. Guards, .. Others, $"attempt-{Account}"];

    /// <param name="emailKey">The keyed hash of the account's address; empty where the account is not in this log.</param>
    public static async Task<Belongings> Of(PlatformReader db, string tenant, Id<User> person, string emailKey, IReadOnlyList<string> holds, IReadOnlyList<string> guards, CancellationToken ct)
    {
        var (account, id, actor) = (Streams.Of(person), person.ToString(), Actor.User(person.Value).ToString());
        var found = (await db.Query([Sql.Of($"""
            select stream_id, type from events.mt_events where tenant_id = {tenant} and (
              (type = 'session_opened' and data ->> 'holder' = {actor})
              or (type = 'device_registered' and data ->> 'owner' = {id})
              or (type = 'job_started' and data ->> 'starter' = {actor})
              or (type in ('data_export_made', 'data_export_read') and data ->> 'owner' = {id})
              or (type in ('invitation_withdrawn', 'invitation_expired')
                and stream_id in (select i.stream_id from events.mt_events i where i.tenant_id = {tenant} and i.type = 'invitation_issued' and i.data ->> 'emailKey' = {emailKey}))
              or (type = 'invitation_accepted' and data ->> 'user' = {id})
              or (type = 'sign_in_failed' and data ->> 'account' = {account}))
            """)], row => (Stream: row.GetString(0), Type: row.GetString(1)), ct))[0];
        var keyed = guards.Count == 0 ? [] : (await db.Query([Sql.Of($"select subject from nubabel.subject_keys where tenant_id = {tenant} and subject = any ({guards.ToArray()})")], row => row.GetString(0), ct))[0];
        return new Belongings(account,
            [.. Named("session_opened").Select(s => Id<Session>.Parse(s.AsSpan("session-".Length), null))],
            [.. Named("device_registered").Select(s => Id<Device>.Parse(s.AsSpan("device-".Length), null))],
            [.. Named("job_started").Select(s => Id<Job>.Parse(s.AsSpan("job-".Length), null))],
            // One that is open invites somebody who comes anew, and one that another account came of is that account's.
            Named("invitation_withdrawn", "invitation_expired", "invitation_accepted"),
            holds, keyed,
            Named("sign_in_failed", "data_export_made", "data_export_read"));

        string[] Named(params string[] types) => [.. found.Where(f => types.Contains(f.Type)).Select(f => f.Stream).Distinct()];
    }
}
