using Nubabel.Api.Breaches;
using Nubabel.Api.Consents;
using Nubabel.Api.ProcessingRecords;
using Nubabel.Store;

namespace Nubabel.Api;

/// <summary>What the law wants to have written down: consents, breaches, and the record of processing activities.</summary>
internal static class Registers
{
    public static void AddRegisters(this IServiceCollection services)
    {
        services.AddSingleton<Consents.Consents>();
        services.AddSingleton<AffectedPeople>();
        services.AddSingleton<BreachLetters>();
        services.AddSingleton<BreachNotifications>();
        services.AddSingleton<BreachWatch>();
        services.AddHostedService(sp => sp.GetRequiredService<BreachWatch>());
    }

    public static MessageHandlers OnRegisters(this MessageHandlers handlers, IServiceProvider services) => handlers
        .On<BreachMail>(services.GetRequiredService<BreachLetters>().Deliver, BreachLetters.GivenUp)
        .On<BreachMailLost>(services.GetRequiredService<BreachLetters>().GiveUp);

    public static void MapRegisters(this IEndpointRouteBuilder app)
    {
        app.MapConsents();
        app.MapUserConsents();
        app.MapBreaches();
        BreachNotifications.Map(app);
        BreachExport.Map(app);
        app.MapTenantBreaches();
        app.MapProcessingRecords();
    }
}
