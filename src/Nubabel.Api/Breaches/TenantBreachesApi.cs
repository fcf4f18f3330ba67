using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Projections;
using Nubabel.Projections.Breaches;
using Nubabel.Store;

namespace Nubabel.Api.Breaches;

/// <summary>The breaches that an organization was told of, for its owners.</summary>
public static class TenantBreachesApi
{
    private const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","risk":"high","text":{"subject":"Addresses of your users may have been read","whatHappened":"A copy of our data could be read by anybody from Monday to Saturday.",
        "consequences":"Your users may get unwanted mail.","measures":"The copy cannot be read any more.","contact":"privacy@example.com"},"kinds":["confidentiality"],"number":1,
        "awareAt":"2026-11-21T08:15:00Z","updatedAt":"2026-11-21T10:00:00Z","notifiedAt":"2026-11-21T10:00:00Z","affectedUsers":1200,"occurredFrom":"2026-11-16T22:00:00Z","dataCategories":["names","e-mail addresses"]}
        """;

    public static void MapTenantBreaches(this IEndpointRouteBuilder app)
    {
        var breaches = app.MapGroup("/api/breaches").WithTags("Breaches");
        breaches.MapGet("", List).Needs("breaches:read").Paged<BreachNoticeRow>().WithExample(response: $$"""{"items":[{{Example}}],"next":null}""");
        breaches.MapGet("/{id}", Get).Needs("breaches:read").Answers200<BreachNoticeRow>().WithExample(response: Example);
    }

    private static async Task<IResult> List(Paging page, Reader db, Freshness fresh, CancellationToken ct)
    {
        await fresh.Of(BreachNoticeList.Name, ct);
        return page.Answer(await BreachNoticeList.Of(db, page.After, page.Limit, ct));
    }

    private static async Task<IResult> Get(Id<Breach> id, At at, HttpContext http, Journal journal, Answers answers, CancellationToken ct) =>
        await answers.Found(http, await journal.Load(new Id<BreachNotice>(id.Value), ct), at, notice => notice.Row<BreachNoticeRow>(), Breach.Missing(), ct);
}
