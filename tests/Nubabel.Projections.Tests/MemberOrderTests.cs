using System.Text;
using System.Text.Json;
using Nubabel.Projections.ApiKeys;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Breaches;
using Nubabel.Projections.Consents;
using Nubabel.Projections.Consumers;
using Nubabel.Projections.DataExports;
using Nubabel.Projections.Devices;
using Nubabel.Projections.Flags;
using Nubabel.Projections.Invitations;
using Nubabel.Projections.Jobs;
using Nubabel.Projections.Members;
using Nubabel.Projections.Organizations;
using Nubabel.Projections.Sessions;

namespace Nubabel.Projections.Tests;

/// <summary>
/// Rows go from the table to the socket as jsonb prints them, and from a command's answer as the serializer does; both are to look the same.
/// jsonb orders members by the length of their names, then by bytes.
/// </summary>
public sealed class MemberOrderTests
{
    [Theory]
    [InlineData(typeof(DeviceRow))]
    [InlineData(typeof(SessionRow))]
    [InlineData(typeof(AuditRow))]
    [InlineData(typeof(FlagRow))]
    [InlineData(typeof(JobRow))]
    [InlineData(typeof(DataExportRow))]
    [InlineData(typeof(MemberRow))]
    [InlineData(typeof(InvitationRow))]
    [InlineData(typeof(OrganizationRow))]
    [InlineData(typeof(ApiKeyRow))]
    [InlineData(typeof(ConsumerRow))]
    [InlineData(typeof(BreachNoticeRow))]
    [InlineData(typeof(PurposeRow))]
    [InlineData(typeof(ConsentRow))]
    public void The_members_of_a_row_stand_in_the_order_of_jsonb(Type row)
    {
        var members = StoredJson.Options.GetTypeInfo(row).Properties.Select(p => p.Name).ToArray();
        Assert.Equal(members.OrderBy(name => Encoding.UTF8.GetByteCount(name)).ThenBy(name => name, StringComparer.Ordinal), members);
    }

    [Fact]
    public async Task That_is_the_order_of_jsonb()
    {
        var names = StoredJson.Options.GetTypeInfo(typeof(DeviceRow)).Properties.Select(p => p.Name).ToArray();
        var shuffled = JsonSerializer.Serialize(names.Reverse().ToDictionary(name => name, _ => 1));
        var database = await Testing.TestDatabase.Shared;
        using var read = JsonDocument.Parse(await database.Scalar<string>($"select ('{shuffled}'::jsonb)::text"));
        Assert.Equal(names, read.RootElement.EnumerateObject().Select(m => m.Name));
    }
}
