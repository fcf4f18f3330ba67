using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

public sealed partial record Resource
{
    /// <summary>What is written down for the law.</summary>
    private static Dictionary<string, Resource> Registers() => new()
    {
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

    private static async Task<string> Purpose(TestTenant owner)
    {
        var key = $"p{Guid.NewGuid():N}";
        using var answer = await owner.Client.PostAsJsonAsync("/api/consent-purposes", new { key, title = "News", text = "Once a month.", lawfulBasis = "consent" });
        answer.EnsureSuccessStatusCode();
        return key;
    }

    private static async Task<string> Consent(TestTenant owner) => $"{owner.User} {await Purpose(owner)}";
}
