using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.DataExports;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.DataExports;

/// <summary>What becomes of a bundle with time, on two nodes whose clock the test moves.</summary>
[Collection(TwoNodes.Name)]
public sealed class ExportExpiryTests(TwoNodes nodes)
{
    [Fact]
    public async Task A_bundle_is_on_both_nodes_until_it_expires_and_then_its_file_is_deleted()
    {
        var tenant = await nodes.A.SignUp();
        var export = await Bundle.Make(tenant.Client);
        foreach (var client in nodes.Clients(tenant)) await Bundle.Download(client, export);
        nodes.Time.Move(TimeSpan.FromDays(ExportBundles.Days) + TimeSpan.FromMinutes(1));
        var later = await tenant.SignIn();
        foreach (var client in nodes.Clients(later))
        {
            Assert.Equal((410, "data_export.gone"), ((await Reply.To(client, "GET", $"{export}/content")).Status, (await Reply.To(client, "GET", $"{export}/content")).Code));
            Assert.Equal(410, (await Reply.To(client, "GET", export)).Status);
            Assert.Empty(await client.Items("/api/user/data-exports"));
        }
        await nodes.B.Services.GetRequiredService<ExportExpiry>().Round(CancellationToken.None);
        Assert.Equal(0, await nodes.Database.Scalar<long>($"select (select count(*) from nubabel.sealed_files where file = '{export[^36..]}') + (select count(*) from nubabel.sealed_parts where file = '{export[^36..]}')"));
        // A new one can be made.
        await Bundle.Download(later.Client, await Bundle.Make(later.Client));
    }

    [Fact]
    public async Task Somebody_elses_bundle_is_like_one_that_never_was()
    {
        var tenant = await nodes.A.SignUp();
        var (colleague, stranger) = (await tenant.Colleague(Domain.Users.Role.Owner), await nodes.A.SignUp());
        foreach (var scope in new[] { "user", "organization" })
        {
            var export = await Bundle.Make(tenant.Client, scope);
            foreach (var other in new[] { colleague, stranger })
            {
                foreach (var path in new[] { export, $"{export}/content" }) Assert.Equal((404, "data_export.missing"), ((await Reply.To(other.Client, "GET", path)).Status, (await Reply.To(other.Client, "GET", path)).Code));
                Assert.Equal(404, (await Reply.To(other.Client, "DELETE", export)).Status);
                Assert.Empty(await other.Client.Items($"/api/{scope}/data-exports"));
            }
            Assert.Equal(200, (await Reply.To(tenant.Client, "GET", export)).Status);
        }
    }
}
