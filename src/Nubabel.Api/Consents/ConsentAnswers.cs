using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Consents;
using Nubabel.Store;

namespace Nubabel.Api.Consents;

/// <summary>What a person sees of the own decisions and an admin of others'.</summary>
internal static class ConsentAnswers
{
    private const string Entry = """
        {"version":1,"at":"2026-11-21T08:15:30.123456Z","actor":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","userId":"01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","purpose":"newsletter","state":"given",
        "textVersion":2,"textHash":"0f3d9a1c5be27f8840f6f0a3c1d5f1a9e4c8b2767d0e9f3a5b6c7d8e9f0a1b2c","title":"Our newsletter",
        "text":"Once a month we write to you about what is new. You can end that at any time.","channel":"settings-page","requestId":"0199a0d4-7c1e"}
        """;

    public const string History = $$"""{"items":[{{Entry}}],"next":null}""";

    /// <summary>How a person stands to a purpose, now or as it was.</summary>
    public static async Task<IResult> Show(string purpose, Id<User> user, At at, HttpContext http, Journal journal, Answers answers, Freshness fresh, CancellationToken ct)
    {
        await fresh.OfLog(ct);
        var (about, decisions) = (await at.Of(await Find(purpose, journal, ct), ct), await at.Of(await journal.Load(ConsentProof.StreamOf(user), ct), ct));
        if (about.Version == 0) throw new Problem("resource.not_yet", "It did not exist yet at that time.");
        // What is shown changes with either stream.
        if (ETags.IsKnown(http, string.Create(CultureInfo.InvariantCulture, $"\"{about.Version}.{decisions.Version}\""))) return Results.StatusCode(StatusCodes.Status304NotModified);
        return answers.Told(ConsentView.Of(about.State, decisions), 0);
    }

    /// <summary>The proof: each decision with the words it was taken on, newest first.</summary>
    public static async Task<IResult> Entries(string purpose, Id<User> user, Paging page, Journal journal, CancellationToken ct)
    {
        var before = page.After is [var version] ? long.Parse(version, CultureInfo.InvariantCulture) : long.MaxValue;
        var about = await Find(purpose, journal, ct);
        var decisions = await journal.Read(ConsentProof.StreamOf(user).Value, Until.End, ct);
        var entries = ConsentProof.Of(decisions, about.State.Key!, about.State).Where(e => e.Version < before).Reverse().Take(page.Limit + 1).ToArray();
        return page.Answer(Page.Cut(entries, page.Limit, e => JsonSerializer.SerializeToUtf8Bytes(e, StoredJson.Options), e => [e.Version.ToString(CultureInfo.InvariantCulture)]));
    }

    /// <summary>The purpose; a key that none could have is the same 404 as one that none has.</summary>
    public static async Task<Outcome<Purpose>> Find(string purpose, Journal journal, CancellationToken ct)
    {
        if (!PurposeKey.TryParse(purpose, out _)) throw Purpose.Missing();
        var found = await journal.Load(Streams.Named<Purpose>(purpose), ct);
        return found.State.Status == PurposeStatus.None ? throw Purpose.Missing() : found;
    }
}
