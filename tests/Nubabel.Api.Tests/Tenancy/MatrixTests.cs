using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.ApiKeys;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>
/// Each kind of caller on every operation of the OpenAPI document: let through to the operation itself exactly where the table says so. Bodies are left
/// out, so that what is let through is refused for its form and changes nothing.
/// </summary>
public sealed class MatrixTests
{
    [Theory]
    [InlineData(Role.Owner)]
    [InlineData(Role.Admin)]
    [InlineData(Role.Member)]
    [InlineData(Role.Viewer)]
    public async Task A_role_gets_what_the_table_gives_it(Role role)
    {
        var api = await TestApi.Shared;
        var organization = await api.SignUp();
        var caller = role == Role.Owner ? organization : await organization.Colleague(role);
        Assert.Equal([], await Faults(api, caller.Client, Realm.Organization, Permissions.Of(Permissions.Name(role)).Contains));
    }

    [Fact]
    public async Task An_operator_gets_what_the_table_gives_operators()
    {
        var api = await TestApi.Shared;
        using var platform = await api.Operator();
        Assert.Equal([], await Faults(api, platform, Realm.Platform, Permissions.Of(Permissions.Operator).Contains));
    }

    [Fact]
    public async Task A_key_gets_its_scopes_and_nothing_else()
    {
        var api = await TestApi.Shared;
        var organization = await api.SignUp();
        using var platform = await api.Operator();
        foreach (var realm in (Realm[])[Realm.Organization, Realm.Platform])
        {
            var scopes = Permissions.All.Where(p => p.ForKeys && new Access(p.Name).Realm == realm).Select(p => p.Name).ToArray();
            foreach (string[] held in (string[][])[scopes, .. scopes.Select(scope => new[] { scope })])
            {
                using var program = api.As((await (realm == Realm.Platform ? platform : organization.Client).Make(realm == Realm.Platform ? Keys.PlatformPath : Keys.Path, held)).GetProperty("key").GetString()!);
                Assert.Equal([], (await Faults(api, program, realm, held.Contains)).Select(fault => $"{fault} with {string.Join(' ', held)}"));
            }
        }
    }

    [Fact]
    public async Task Nobody_gets_401()
    {
        var api = await TestApi.Shared;
        foreach (var (operation, needed) in await Operations(api))
        {
            var (status, code, _) = await Call(api.Client, operation);
            if (needed.Permission is null) Assert.NotEqual((operation, 403), (operation, status));
            else Assert.Equal((operation, 401, "credential.missing"), (operation, status, code));
        }
    }

    /// <summary>The comparison can fail: a caller of whom more is expected than the role gives.</summary>
    [Fact]
    public async Task A_difference_from_the_table_is_named()
    {
        var api = await TestApi.Shared;
        var organization = await api.SignUp();
        // One each: all operations include the end of the account.
        var (viewer, another) = (await organization.Colleague(Role.Viewer), await organization.Colleague(Role.Viewer));
        Assert.Contains("GET /api/devices: expected 403 devices:read", await Faults(api, viewer.Client, Realm.Organization, p => p != "devices:read"), StringComparer.Ordinal);
        Assert.Contains("POST /api/devices: 403 devices:write", await Faults(api, another.Client, Realm.Organization, _ => true), StringComparer.Ordinal);
    }

    private static async Task<List<string>> Faults(TestApi api, HttpClient client, Realm realm, Func<string, bool> may)
    {
        var faults = new List<string>();
        // Signing out comes last: nobody is there after it.
        foreach (var (operation, needed) in (await Operations(api)).OrderBy(o => o.Access.EvenEnded))
        {
            if (needed.Permission is not { } permission) continue;
            var (status, code, required) = await Call(client, operation);
            var denied = status == 403 && code == "permission.denied" && required == permission;
            var expected = needed.Realm != realm || !(may(permission) || (needed.Or is { } wider && may(wider)));
            if (expected && !denied) faults.Add($"{operation}: expected 403 {permission}");
            if (!expected && status is 401 or 403 or >= 500) faults.Add($"{operation}: {status} {required ?? code}");
        }
        return faults;
    }

    private static async Task<IReadOnlyList<(Operation Operation, Access Access)>> Operations(TestApi api)
    {
        var access = Endpoints.All(api).ToDictionary(e => e.Name, e => e.Access!);
        return [.. (await Operation.All(api)).Select(o => (o, access[o.ToString()]))];
    }

    private static async Task<(int Status, string? Code, string? Required)> Call(HttpClient client, Operation operation)
    {
        using var request = new HttpRequestMessage(new HttpMethod(operation.Method), operation.At(Guid.CreateVersion7().ToString()));
        using var answer = await client.SendAsync(request);
        if ((int)answer.StatusCode < 400) return ((int)answer.StatusCode, null, null);
        var problem = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return ((int)answer.StatusCode, problem.GetProperty("code").GetString(), problem.TryGetProperty("required", out var required) ? required.GetString() : null);
    }
}
