using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Projections;
using Nubabel.Projections.Consents;
using Nubabel.Store;

namespace Nubabel.Api.Consents;

/// <summary>Somebody agrees.</summary>
/// <param name="TextVersion">Of the text that was shown.</param>
/// <param name="Channel">Where in the product it was shown.</param>
public sealed record WantedConsent(int TextVersion, ConsentChannel? Channel = null);

/// <summary>What the user who calls has agreed to. To withdraw takes no more than to agree (Art. 7(3)).</summary>
public static class UserConsentsApi
{
    public static void MapUserConsents(this IEndpointRouteBuilder app)
    {
        var consents = app.MapGroup("/api/user/consents").WithTags("Consents");
        consents.MapGet("", List).Needs("user:consents").Paged<ConsentView>().WithExample(response: $$"""{"items":[{{ConsentView.Example}}],"next":null}""");
        consents.MapGet("/{purpose}", Get).Needs("user:consents").Answers200<ConsentView>().WithExample(response: ConsentView.Example);
        consents.MapPut("/{purpose}", Give).Needs("user:consents").Answers200<ConsentView>().WithExample("""{"textVersion":2,"channel":"settings-page"}""", ConsentView.Example);
        consents.MapDelete("/{purpose}", Withdraw).Needs("user:consents").Answers204();
        consents.MapGet("/{purpose}/history", Proof).Needs("user:consents").Paged<ConsentEntry>().WithExample(response: ConsentAnswers.History);
    }

    private static async Task<IResult> List(Paging page, Caller caller, Reader db, Journal journal, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(PurposeList.Name, ct);
        var decisions = await journal.Load(ConsentProof.StreamOf(caller.User), ct);
        return page.Answer(await PurposeList.For(db, decisions.State.Choices.Keys, row => ConsentView.Of(row, decisions), page.After, page.Limit, ct));
    }

    private static Task<IResult> Get(string purpose, At at, HttpContext http, Caller caller, Journal journal, Answers answers, Freshness fresh, CancellationToken ct) =>
        ConsentAnswers.Show(purpose, caller.User, at, http, journal, answers, fresh, ct);

    private static async Task<IResult> Give(string purpose, Body<WantedConsent> body, HttpContext http, RequestScope scope, Answers answers, CancellationToken ct)
    {
        var (journal, wish, user) = (scope.Journal, body.Value, scope.Caller.User);
        var about = await ConsentAnswers.Find(purpose, journal, ct);
        var text = about.State.Text;
        // A repeated request is answered as it was, whatever the text has become since. A text that changes behind this check does no harm: what is recorded is the one that was seen.
        if (scope.Replay is null)
        {
            if (about.State.Status == PurposeStatus.Retired) throw Purpose.Gone();
            if (wish.TextVersion != text.Version)
                throw new Problem("consent.text_changed", "The purpose has another text now: show it, and ask again.") { Members = new Dictionary<string, object?> { ["textVersion"] = text.Version } };
        }
        var given = await journal.Handle(ConsentProof.StreamOf(user), new GiveConsent(about.State.Key!, wish.TextVersion, text.Hash, wish.Channel), ct, ETags.IfMatch(http.Request));
        http.Response.Headers.ETag = ETags.Of(given.Version);
        return answers.Told(ConsentView.Of(about.State, given), given.Position);
    }

    private static async Task<IResult> Withdraw(string purpose, string? channel, HttpContext http, RequestScope scope, Answers answers, CancellationToken ct)
    {
        var (journal, from) = (scope.Journal, channel is null ? null : ConsentChannel.Parse(channel));
        var about = await ConsentAnswers.Find(purpose, journal, ct);
        // Of a retired one, too: what was given stands in the log until it is withdrawn.
        if (!about.State.IsWithdrawable) throw new Refused(RefusalKind.Conflict, "consent.not_withdrawable", "The purpose rests on a contract, a law or a vital interest, and not on consent.");
        var objects = about.State is { Status: PurposeStatus.Active, Text.LawfulBasis: not LawfulBasis.Consent };
        return answers.Gone(await journal.Handle(ConsentProof.StreamOf(scope.Caller.User), new WithdrawConsent(about.State.Key!, objects, from), ct, ETags.IfMatch(http.Request)));
    }

    private static Task<IResult> Proof(string purpose, Paging page, Caller caller, Journal journal, CancellationToken ct) => ConsentAnswers.Entries(purpose, caller.User, page, journal, ct);
}
