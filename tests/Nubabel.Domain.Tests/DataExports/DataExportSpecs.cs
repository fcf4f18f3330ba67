using Nubabel.Domain.DataExports;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.DataExports;

public sealed class DataExportSpecs : Spec<DataExport>
{
    private static readonly Id<User> Ada = Id<User>.Parse("019a2b3c-4d5e-7f60-8123-456789abcdef");
    private static readonly Guid Generation = Guid.Parse("019a2b3c-4d5e-7f60-8123-456789abcd01");
    private static readonly DataExportMade Made = new(ExportScope.User, Ada, Generation, 7, "ab", 42, Noon.AddDays(7));
    private static readonly MakeDataExport Make = new(ExportScope.User, Ada, Generation, 7, "ab", 42, Noon.AddDays(7));

    protected override Actor Actor => Actor.User(Ada.Value);

    [Fact]
    public void A_bundle_is_made_once()
    {
        Given().When(Make).Then(Made);
        Given(Made).When(Make with { Generation = Guid.Empty }).Nothing();
    }

    [Fact]
    public void What_is_read_at_once_is_recorded_for_who_asked()
    {
        Given().When(new ReadDataExport(ExportScope.User, 42)).Then(new DataExportRead(ExportScope.User, Ada, 42));
        Given().By(Actor.System("spec")).When(new ReadDataExport(ExportScope.User, 42)).Refused("data_export.owner_required", RefusalKind.Denied);
    }

    [Fact]
    public void Each_download_is_recorded_until_it_expires()
    {
        Given(Made).When(new DownloadDataExport()).Then(new DataExportDownloaded());
        Given(Made, new DataExportDownloaded()).When(new DownloadDataExport()).Then(new DataExportDownloaded());
        Given(Made).At(Noon.AddDays(7)).When(new DownloadDataExport()).Refused("data_export.missing", RefusalKind.Missing);
        Given(Made, new DataExportDeleted()).When(new DownloadDataExport()).Refused("data_export.missing", RefusalKind.Missing);
    }

    [Fact]
    public void It_is_its_owners()
    {
        foreach (var other in new[] { Actor.User(Guid.Empty), Actor.Key(Ada.Value), Actor.Operator(Ada.Value) })
        {
            Given(Made).By(other).When(new DownloadDataExport()).Refused("data_export.missing", RefusalKind.Missing);
            Given(Made).By(other).When(new DeleteDataExport()).Refused("data_export.missing", RefusalKind.Missing);
        }
        Given().When(new DeleteDataExport()).Refused("data_export.missing", RefusalKind.Missing);
    }

    [Fact]
    public void It_is_deleted_once()
    {
        Given(Made).When(new DeleteDataExport()).Then(new DataExportDeleted());
        Given(Made, new DataExportDeleted()).When(new DeleteDataExport()).Nothing();
    }
}
