using System.Runtime.CompilerServices;
using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections.ApiKeys;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Consents;
using Nubabel.Projections.Devices;
using Nubabel.Projections.Invitations;
using Nubabel.Projections.Jobs;
using Nubabel.Projections.Organizations;
using Nubabel.Projections.ProcessingRecords;
using Nubabel.Projections.Sessions;
using Nubabel.Projections.Users;
using Nubabel.Store;

namespace Nubabel.Projections.DataExports;

/// <summary>One kind of what is held.</summary>
/// <param name="Name">The member of the JSON document, and the name of the files.</param>
/// <param name="Title">For people.</param>
/// <param name="Columns">The members of a row, in the order of a table.</param>
/// <param name="Rows">JSON objects, with their personal values opened; read when it is asked for, some at a time.</param>
/// <param name="IsOne">There is one at most, and it is no list.</param>
public sealed record HeldSection(string Name, string Title, IReadOnlyList<string> Columns, Func<CancellationToken, IAsyncEnumerable<ReadOnlyMemory<byte>>> Rows, bool IsOne = false);

/// <summary>
/// Everything that is held on a person, or in an organization, folded from the log up to one position: however it is read and whatever is written meanwhile, all
/// of it is as of that position. Of a person's data only the person's own values are opened. Memory is bounded by a page.
/// </summary>
/// <param name="journal">Of the tenant; nothing is written with it.</param>
/// <param name="person">Null for the whole organization.</param>
/// <param name="upTo">A position that the audit trail has reached.</param>
public sealed class HeldData(Journal journal, Reader db, Id<User>? person, long upTo)
{
    private const int StreamsAtOnce = 20, MessagesAtOnce = 200, MostLookedAt = 500;

    /// <summary>About so much of the trail is in memory, in bytes.</summary>
    private const int StretchBytes = 1 << 20;

    /// <summary>The kinds of streams that belong to who began them, with the actions that begin them: all that becomes of these is about that person.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Own { get; } = new Dictionary<string, IReadOnlyList<string>>
    {
        ["session"] = ["session.opened"],
        ["device"] = ["device.registered"],
        ["job"] = ["job.started"],
        ["data-export"] = ["data_export.made", "data_export.read"],
    };

    /// <summary>The other kinds. Of these a person gets what the person did, and what mentions the person.</summary>
    public static IReadOnlyDictionary<string, string> Others { get; } = new Dictionary<string, string>
    {
        ["erasure"] = "named by the account's id; who is erased asks for nothing any more",
        ["user"] = "named by the person's id, so all of it mentions the person",
        ["consent"] = "named by the person's id, so all of it mentions the person",
        ["purpose"] = "the organization's",
        ["processing-record"] = "the organization's, or the platform's",
        ["breach"] = "the platform's",
        ["breach-notice"] = "the organization's",
        ["breach-letter"] = "names the person whom it goes to",
        ["attempt"] = "named by who attempted",
        ["personal-data"] = "named by who read; whose data was read is mentioned",
        ["sign-in"] = "its failures name the account that has the address",
        ["invitation"] = "what is sealed in it is sealed for the invitation; who accepts it has it anew in the account",
        ["organization"] = "the organization's",
        ["api-key"] = "the organization's, whoever made it",
        ["operator"] = "the platform's",
        ["flag"] = "the platform's",
        ["projection"] = "the platform's",
        ["dead-letter"] = "the platform's",
        ["letter-sweep"] = "the platform's",
        ["consumer"] = "the organization's",
        ["webhook-source"] = "the organization's",
        ["legal-hold"] = "names whose data it keeps; its reason is sealed for the hold",
        ["hold-register"] = "the organization's: what is held, and whose erasure was admitted",
        ["retention-policy"] = "the organization's, or the platform's",
        ["retention-run"] = "counts and hashes, nobody's data",
        ["retention-round"] = "the platform's",
        ["webhook"] = "the organization's: what a provider sent",
    };

    private string? Actor => person is { } id ? Domain.Actor.User(id.Value).ToString() : null;

    /// <summary>What there is, in the order of a document.</summary>
    public IEnumerable<HeldSection> Sections()
    {
        if (person is { } user)
        {
            yield return new HeldSection("profile", "Profile", ["id", "name", "email", "role", "status", "registeredAt"], ct => One<UserProfile>(Streams.Of(user), UserProfile.Evolve, ct), IsOne: true);
        }
        else
        {
            var organization = Streams.Of(Id<Organization>.Parse(journal.Tenant));
            yield return new HeldSection("organization", "Organization", ["id", "name", "slug", "status", "plan", "foundedAt", "closesAt"], ct => One<OrganizationProfile>(organization, OrganizationProfile.Evolve, ct), IsOne: true);
            yield return new HeldSection("members", "Members", ["id", "name", "email", "role", "status", "registeredAt"], ct => Folded<UserProfile>("user.registered", UserProfile.Evolve, ct));
            yield return new HeldSection("invitations", "Open invitations", ["id", "email", "role", "invitedBy", "invitedAt", "expiresAt"], ct => Folded<InvitationRow>("invitation.issued", InvitationList.Evolve, ct));
            yield return new HeldSection("consentPurposes", "What personal data are used for", ["key", "title", "text", "lawfulBasis", "required", "status", "textVersion", "textHash", "declaredAt"], ct => Folded<PurposeRow>("purpose.declared", PurposeList.Evolve, ct));
            yield return new HeldSection("processingRecords", "Record of processing activities", ["id", "description", "status", "revision", "createdAt", "changedAt", "archivedAt"], ct => Folded<ProcessingRecordRow>("processing_record.created", ProcessingRecordList.Evolve, ct));
            yield return new HeldSection("apiKeys", "API keys", ["id", "name", "prefix", "scopes", "status", "createdBy", "createdAt", "expiresAt", "revokedAt"], ct => Folded<ApiKeyRow>("api_key.made", ApiKeyList.Evolve, ct));
        }
        yield return new HeldSection("sessions", "Sign-ins", ["id", "holder", "openedAt", "ip", "userAgent", "refreshedAt", "expiresAt", "endsAt", "revokedAt"], ct => Folded<SessionRow>("session.opened", SessionList.Evolve, ct));
        yield return new HeldSection("devices", "Devices", ["id", "owner", "name", "type", "status", "publicKey", "registeredAt", "revokedAt", "revocationReason"], ct => Folded<DeviceRow>("device.registered", DeviceList.Evolve, ct));
        yield return new HeldSection("consents", "Consents", ["at", "userId", "purpose", "state", "title", "text", "textVersion", "textHash", "channel", "actor", "requestId"], Consents);
        yield return new HeldSection("jobs", "Jobs", ["id", "kind", "state", "starter", "queuedAt", "endedAt", "outcome", "error"], ct => Folded<JobRow>("job.started", JobList.Evolve, ct));
        yield return new HeldSection("dataExports", "Data exports", ["id", "scope", "owner", "bytes", "sha256", "madeAt", "expiresAt", "downloads"], ct => Folded<DataExportRow>("data_export.made", DataExportList.Evolve, ct));
        yield return new HeldSection("messages", "Messages that wait or were given up", ["id", "queue", "type", "state", "enqueuedAt"], Messages);
        yield return new HeldSection("auditTrail", "Audit trail", ["at", "actor", "action", "object", "outcome", "reason", "ip", "userAgent", "requestId", "data", "position", "id"], Trail);
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> One<TRow>(string stream, Func<TRow?, Recorded, TRow?> evolve, [EnumeratorCancellation] CancellationToken ct) where TRow : class
    {
        if (await Fold(stream, evolve, ct) is { } row)
            foreach (var opened in await Opened([row], ct)) yield return opened;
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> Folded<TRow>(string action, Func<TRow?, Recorded, TRow?> evolve, [EnumeratorCancellation] CancellationToken ct) where TRow : class
    {
        for (IReadOnlyList<string>? after = null; ;)
        {
            var streams = await AuditTrail.Begun(db, action, Actor, upTo, after, StreamsAtOnce, ct);
            var rows = new List<object>(streams.Count);
            foreach (var (stream, _) in streams)
                if (await Fold(stream, evolve, ct) is { } row) rows.Add(row);
            foreach (var opened in await Opened(rows, ct)) yield return opened;
            if (streams.Count < StreamsAtOnce) yield break;
            after = streams[^1].Place;
        }
    }

    private async Task<TRow?> Fold<TRow>(string stream, Func<TRow?, Recorded, TRow?> evolve, CancellationToken ct) where TRow : class
    {
        TRow? row = null;
        await foreach (var e in journal.Walk(stream, new Until(Position: upTo), ct)) row = evolve(row, e);
        return row;
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> Consents([EnumeratorCancellation] CancellationToken ct)
    {
        var texts = new Dictionary<string, Domain.Consents.Purpose>();
        await foreach (var stream in ConsentStreams(ct))
            await foreach (var entry in ConsentProof.Walk(journal, stream, upTo, texts, ct)) yield return JsonSerializer.SerializeToUtf8Bytes(entry, StoredJson.Options);
    }

    private async IAsyncEnumerable<string> ConsentStreams([EnumeratorCancellation] CancellationToken ct)
    {
        if (person is { } id)
        {
            yield return ConsentProof.StreamOf(id).Value;
            yield break;
        }
        foreach (var action in new[] { "consent.given", "consent.withdrawn" })
            for (IReadOnlyList<string>? after = null; ;)
            {
                var streams = await AuditTrail.Begun(db, action, null, upTo, after, StreamsAtOnce, ct);
                foreach (var (stream, _) in streams) yield return stream;
                if (streams.Count < StreamsAtOnce) break;
                after = streams[^1].Place;
            }
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> Messages([EnumeratorCancellation] CancellationToken ct)
    {
        for (var after = Guid.Empty; ;)
        {
            var page = await HeldMessages.Of(db, person is { } id ? Streams.Of(id) : null, Actor, after, MessagesAtOnce, ct);
            foreach (var message in page) yield return JsonSerializer.SerializeToUtf8Bytes(message, StoredJson.Options);
            if (page.Count < MessagesAtOnce) yield break;
            after = page[^1].Id;
        }
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> Trail([EnumeratorCancellation] CancellationToken ct)
    {
        string[] own = [.. Own.Values.SelectMany(actions => actions)];
        var look = MostLookedAt / 5;
        for (IReadOnlyList<string>? after = null; ;)
        {
            var stretch = await AuditTrail.Held(db, person?.Value, own, upTo, after, look, ct);
            var rows = await Opened([.. stretch.Entries.Select(HeldEntry.Of)], ct);
            foreach (var row in rows) yield return row;
            if (stretch.Place is null) yield break;
            after = stretch.Place;
            // The next stretch is as long as this one says that entries are short.
            if (rows.Count > 0) look = (int)Math.Clamp(StretchBytes / Math.Max(1, rows.Sum(r => (long)r.Length) / rows.Count), 10, MostLookedAt);
        }
    }

    private ValueTask<IReadOnlyList<ReadOnlyMemory<byte>>> Opened(IReadOnlyList<object> rows, CancellationToken ct)
    {
        ReadOnlyMemory<byte>[] json = [.. rows.Select(row => (ReadOnlyMemory<byte>)JsonSerializer.SerializeToUtf8Bytes(row, row.GetType(), StoredJson.Options))];
        return person is { } id ? db.OpenOf(Streams.Of(id), json, ct) : db.Open(json, ct);
    }
}

/// <summary>An entry of the trail as it is handed over.</summary>
/// <param name="Data">What the event says, without hashes of secrets and look-up keys.</param>
public sealed record HeldEntry(
    DateTimeOffset At, string? Actor, string Action, string Object, string Outcome, string? Reason, Personal? Ip, Personal? UserAgent, string? RequestId, JsonElement? Data, long Position, Guid Id)
{
    internal static HeldEntry Of(AuditTrail.Entry e) => new(
        e.Row.At, e.Row.Actor, e.Row.Action, e.Row.Object, e.Row.Outcome, e.Row.Reason, e.Row.Ip, e.Row.UserAgent, e.Row.RequestId, e.After, e.Position, e.Row.Id);
}
