using Nubabel.Api.Breaches;
using Nubabel.Api.Consumers;
using Nubabel.Api.DataExports;
using Nubabel.Api.Retention;

namespace Nubabel.Api.Jobs;

/// <summary>Every kind of job of the product, with what is done. Each is declared in the slice that owns it.</summary>
public static class JobCatalog
{
    public static JobHandlers Handlers(IServiceProvider services) => new JobHandlers()
        .On(BreachNotifications.Kind, services.GetRequiredService<BreachNotifications>().Run)
        .On(Replays.Kind, services.GetRequiredService<Replays>().Run)
        .On(RetentionRuns.Kind, services.GetRequiredService<RetentionRuns>().Run)
        .On(ExportBundles.OfUser, services.GetRequiredService<ExportBundles>().Make)
        .On(ExportBundles.OfOrganization, services.GetRequiredService<ExportBundles>().Make);
}
