using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

public sealed partial record Resource
{
    /// <summary>What is written down for the law.</summary>
    private static Dictionary<string, Resource> Registers() => new()
    {
        ["GET /api/processing-records/{id}"] = new(Processing, Personal: false),
        ["PUT /api/processing-records/{id}"] = new(Processing, Activity, Personal: false),
        ["DELETE /api/processing-records/{id}"] = new(Processing, Personal: false),
        ["PUT /api/processing-records/{id}/restoration"] = new(Processing, Personal: false),
        ["GET /api/processing-records/{id}/history"] = new(Processing, Personal: false),
        ["GET /api/breaches/{id}"] = new(Breach, Personal: false),
        ["GET /api/consent-purposes/{key}"] = new(Purpose, Personal: false),
        ["PATCH /api/consent-purposes/{key}"] = new(Purpose, new { required = true }, Personal: false),
        ["DELETE /api/consent-purposes/{key}"] = new(Purpose, Personal: false),
        ["GET /api/consent-purposes/{key}/history"] = new(Purpose, Personal: false),
        ["GET /api/consent-purposes/{key}/counts"] = new(Purpose, Personal: false),
        ["GET /api/user/consents/{purpose}"] = new(Purpose, Personal: false),
        ["PUT /api/user/consents/{purpose}"] = new(Purpose, new { textVersion = 1 }, Personal: false),
        ["DELETE /api/user/consents/{purpose}"] = new(Purpose, Personal: false),
        ["GET /api/user/consents/{purpose}/history"] = new(Purpose, Personal: false),
        ["GET /api/consents/{userId}/{purpose}"] = new(Consent, Personal: false),
        ["GET /api/consents/{userId}/{purpose}/history"] = new(Consent, Personal: false),
    };

    /// <summary>Operations on what operators keep.</summary>
    private static Dictionary<string, string> PlatformRegisters() => new[]
    {
        "GET /api/admin/breaches/{id}", "PATCH /api/admin/breaches/{id}", "GET /api/admin/breaches/{id}/history", "PUT /api/admin/breaches/{id}/assessment", "PUT /api/admin/breaches/{id}/affected",
        "GET /api/admin/breaches/{id}/affected", "POST /api/admin/breaches/{id}/authority-reports", "PUT /api/admin/breaches/{id}/notices/{audience}", "PUT /api/admin/breaches/{id}/exemption",
        "PUT /api/admin/breaches/{id}/closure", "DELETE /api/admin/breaches/{id}/closure", "POST /api/admin/breaches/{id}/notifications", "GET /api/admin/breaches/{id}/notifications",
        "GET /api/admin/breaches/{id}/letters", "GET /api/admin/processing-records/{id}", "PUT /api/admin/processing-records/{id}", "DELETE /api/admin/processing-records/{id}",
        "PUT /api/admin/processing-records/{id}/restoration", "GET /api/admin/processing-records/{id}/history",
    }.ToDictionary(name => name, _ => "a register's entry, which is the platform's");

    private static object Activity => new
    {
        name = "Accounts", role = "controller", purposes = new[] { "work" }, peopleCategories = Array.Empty<string>(), dataCategories = Array.Empty<string>(), recipients = Array.Empty<string>(),
        transfers = Array.Empty<object>(), retention = new { text = "a year" }, securityMeasures = Array.Empty<string>(),
    };

    private static async Task<string> Processing(TestTenant owner)
    {
        using var answer = await owner.Client.PostAsJsonAsync("/api/processing-records", Activity);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    private static async Task<string> Breach(TestTenant owner)
    {
        var (id, words) = (new Id<BreachNotice>(Guid.CreateVersion7()), new NoticeText(Phrase.Parse("S"), Prose.Parse("W"), Prose.Parse("C"), Prose.Parse("M"), Phrase.Parse("c@example.com")));
        var node = owner.Api.Services.GetRequiredService<Node>();
        await node.Journal(owner.Id, new Origin("operator:test")).Create(id, new GiveBreachNotice(1, new NoticeContent(words, node.Time.GetUtcNow(), [BreachKind.Integrity], null, null, null, [], 1)), CancellationToken.None);
        return id.ToString();
    }

    private static async Task<string> Purpose(TestTenant owner)
    {
        var key = $"p{Guid.NewGuid():N}";
        using var answer = await owner.Client.PostAsJsonAsync("/api/consent-purposes", new { key, title = "News", text = "Once a month.", lawfulBasis = "consent" });
        answer.EnsureSuccessStatusCode();
        return key;
    }

    private static async Task<string> Consent(TestTenant owner) => $"{owner.User} {await Purpose(owner)}";
}
